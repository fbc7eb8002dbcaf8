#!/bin/sh
# Builds helm and kubeconform from pinned Go modules (chaos/clusters/tools), and puts the schemas of that Kubernetes beside
# them, all into FOLDER (default: ~/.cache/foresail/charts). Does nothing when nothing changed. Needs Go and Python only.
# Both share the workspace of the clusters' programs, so that what they have in common is compiled once.
set -eu

here=$(CDPATH="" cd -- "$(dirname -- "$0")" && pwd)
tools=$here/../chaos/clusters/tools
out=${1:-${FORESAIL_CHART_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/foresail/charts}}
python=${PYTHON:-python3}
# The Kubernetes whose description the manifests are held against: that of the test clusters.
kubernetes=${KUBERNETES_SCHEMAS:-$(sed -n 's|^[[:space:]]*k8s.io/kubernetes \(v[0-9.]*\).*|\1|p' "$tools/kubernetes/go.mod")}

command -v go >/dev/null 2>&1 || { echo "build-tools: no go; install Go $(sed -n 's/^go //p' "$tools/go.work") or newer" >&2; exit 1; }
mkdir -p "$out/bin"
export CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK="$tools/go.work" GOFLAGS="-trimpath -buildvcs=false ${GOFLAGS:-}"
# In a workspace any member can raise the version of a shared dependency.
key="$(cat "$tools"/go.work* "$tools"/*/go.mod "$tools"/*/go.sum | sha256sum | cut -c1-16) $(go env GOVERSION)"

build() { # module folder, package, module of the version, linker flags with @ for the version
    [ -x "$out/bin/$1" ] && [ "$(cat "$out/bin/.$1" 2>/dev/null)" = "$key" ] && return
    echo "build-tools: $1"
    (
        cd "$tools/$1"
        version=$(go list -m -f '{{.Version}}' "$3")
        go build -ldflags "-s -w $(printf '%s' "$4" | sed "s/@/$version/")" -o "$out/bin/$1.unfinished" "$2"
        mv "$out/bin/$1.unfinished" "$out/bin/$1"
    )
    echo "$key" >"$out/bin/.$1"
}

build kubeconform github.com/yannh/kubeconform/cmd/kubeconform github.com/yannh/kubeconform "-X main.version=@"
build helm helm.sh/helm/v4/cmd/helm helm.sh/helm/v4 "-X helm.sh/helm/v4/internal/version.version=@"

if [ ! -e "$out/schemas/$kubernetes.done" ]; then
    echo "build-tools: schemas of Kubernetes $kubernetes"
    sources=$(cd "$tools/kubeconform" && go mod download -json "k8s.io/kubernetes@$kubernetes" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p')
    rm -rf "$out/schemas"
    "$python" "$here/openapi_schemas.py" "$sources/api/openapi-spec/v3" "$out/schemas"
    touch "$out/schemas/$kubernetes.done"
fi
