#!/bin/sh
# Brings what tests need beside Python: Debian's packages, helm and its companions, the clusters' programs, the images.
# Each is made once and kept below the cache folder until its pins or sources change. What this machine cannot have is
# said with the reason, and its tests are skipped; with CI=true, which promises everything, that is a failure.
set -u

root=$(CDPATH="" cd -- "$(dirname -- "$0")/.." && pwd)
lacking=no

attempt() { # what it is for, command…
    what=$1
    shift
    begun=$(date +%s)
    if "$@"; then
        echo "$what: ready after $(($(date +%s) - begun)) s"
    else
        echo "$what: not on this machine, for the reason above; their tests will be skipped" >&2
        lacking=yes
    fi
}

attempt "stores, browser, Prometheus" sh "$root/demo_shop/local/install-stores.sh" --tests
attempt "clusters" "$root/.venv/bin/foresail" cluster prepare
attempt "helm, kubeconform" env PYTHON="$root/.venv/bin/python" sh "$root/charts/build-tools.sh"

[ "$lacking" = no ] || [ "${CI:-}" != true ] || { echo "CI=true: nothing may be skipped" >&2; exit 1; }
