#!/bin/sh
# Installs the programs of the shop's stores from Debian's (or Ubuntu's) packages when they are missing: PostgreSQL,
# Patroni, etcd and Redis; with --tests also what only tests need: a browser and Prometheus. Starts no service, makes no
# database cluster, and leaves both to you afterwards as they were before.
set -eu

with_tests=no
for argument in "$@"; do
    case "$argument" in
        --tests) with_tests=yes ;;
        *) echo "install-stores: unknown option $argument; the only one is --tests" >&2; exit 2 ;;
    esac
done

# Debian keeps servers off the PATH of users, and PostgreSQL off everyone's.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

has_postgres() {
    for folder in $(printf '%s' "$PATH" | tr ':' ' ') /usr/lib/postgresql/*/bin; do
        [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ] || continue
        major=$("$folder/postgres" --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
        [ "$major" -ge 15 ] && return 0
    done
    return 1
}

has_browser() {
    command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1
}

missing="" packages=""
need() { # program, packages
    missing="$missing $1"
    packages="$packages $2"
}
has_postgres || need "postgres(15+)" "postgresql"
command -v patroni >/dev/null 2>&1 || need patroni "patroni python3-etcd python3-psycopg2"
command -v etcd >/dev/null 2>&1 || need etcd "etcd-server"
command -v redis-server >/dev/null 2>&1 || need redis-server "redis-server"
[ "$with_tests" = no ] || has_browser || need chromium "chromium"
[ "$with_tests" = no ] || command -v promtool >/dev/null 2>&1 || need prometheus "prometheus"

if [ -z "$missing" ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "install-stores: not found:$missing. This system has no apt-get: install PostgreSQL 15 or newer, Patroni with" >&2
    echo "etcd3, etcd 3.4 or newer and Redis 7 in its own way, and put postgres, patroni, etcd and redis-server on PATH" >&2
    exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "install-stores: not found:$missing. As root:" >&2
    echo "  apt-get install --no-install-recommends$packages" >&2
    exit 1
fi

policy=/usr/sbin/policy-rc.d
clusters=/etc/postgresql-common/createcluster.d/foresail-shop.conf
our_policy=no

put_back() {
    if [ "$our_policy" = yes ]; then $as_root rm -f "$policy"; fi
    $as_root rm -f "$clusters"
}
trap put_back EXIT
trap 'exit 130' INT TERM

echo "install-stores: installing$packages"
$as_root apt-get update -qq
if [ ! -e "$policy" ]; then
    # 101: no service may be started now.
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    our_policy=yes
    $as_root chmod 755 "$policy"
fi
$as_root mkdir -p "$(dirname "$clusters")"
echo "create_main_cluster = false" | $as_root tee "$clusters" >/dev/null
# shellcheck disable=SC2086 # words are packages
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages >/dev/null
if [ -d /run/systemd/system ]; then
    # Newly come services would start with the machine; the shop starts stores of its own.
    for service in patroni etcd redis-server prometheus; do
        case "$missing" in *"$service"*) $as_root systemctl disable --quiet "$service" 2>/dev/null || true ;; esac
    done
fi
echo "install-stores: done"
