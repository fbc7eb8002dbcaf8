#!/bin/sh
# Lints both charts, renders every profile of values, and holds what comes out against the Kubernetes schemas.
# FOLDER is what build-tools.sh filled. Without a cluster; the dry run against an API server is the end-to-end tests'.
set -eu

here=$(CDPATH="" cd -- "$(dirname -- "$0")" && pwd)
tools=${1:-${FORESAIL_CHART_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/foresail/charts}}
helm=$tools/bin/helm
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

everything="--api-versions monitoring.coreos.com/v1 --api-versions foresail.dev/v1alpha1"

check() { # name, chart, helm's arguments…
    name=$1 chart=$2
    shift 2
    "$helm" template check "$here/$chart" --namespace check "$@" >"$work/$name.yaml"
    # Custom resources have no schema here: their definitions are not Kubernetes's.
    "$tools/bin/kubeconform" -strict -schema-location "$tools/schemas/{{.ResourceKind}}{{.KindSuffix}}.json" \
        -skip CustomResourceDefinition,ResiliencePolicy,ServiceMonitor,PrometheusRule "$work/$name.yaml"
    echo "$name: $(grep -c '^kind:' "$work/$name.yaml") objects"
}

"$helm" lint --quiet --strict "$here/foresail"
for values in "$here"/demo-shop/values*.yaml; do "$helm" lint --quiet --strict "$here/demo-shop" --values "$values"; done

check foresail foresail
for profile in "$here"/foresail/ci/*.yaml; do
    check "foresail-$(basename "$profile" .yaml)" foresail --values "$profile" $everything
done
check demo-shop demo-shop
for size in tiny full; do
    check "demo-shop-$size" demo-shop --values "$here/demo-shop/values-$size.yaml" $everything
    for profile in "$here"/demo-shop/ci/*.yaml; do
        check "demo-shop-$size-$(basename "$profile" .yaml)" demo-shop --values "$here/demo-shop/values-$size.yaml" --values "$profile"
    done
done
