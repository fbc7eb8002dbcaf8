"""What pods use up, whatever counts their requests: CPU, memory, connections, queues, volumes, and how far they lag.

The container's figures come first, since limits bind containers; a process' own stand in where cAdvisor is not scraped.
"""

from __future__ import annotations

from collections.abc import Iterator

from foresail.prometheus.expressions import (
    any_of,
    container_rate,
    fresh,
    most_by_pod,
    tagged,
    total_by_pod,
)
from foresail.prometheus.selection import Scope

#: In place of a preset's name in tags: these belong to every workload.
USAGE = "usage"
_CONTAINER = ('container!=""', 'container!="POD"')
_WHOLE_POD = ('container=""', 'pod!=""')  # runtimes that name no containers


def cpu(scope: Scope) -> Iterator[str]:
    """Cores, over one window whoever counted them: it is known what requests they belong to."""
    metric = "container_cpu_usage_seconds_total"
    arms = (
        total_by_pod(container_rate(scope.of(metric, *_CONTAINER), scope), scope),
        most_by_pod(container_rate(scope.of(metric, *_WHOLE_POD), scope), scope),
        total_by_pod(container_rate(scope.of("process_cpu_seconds_total", 'pod!=""'), scope), scope),
    )
    yield tagged(f"({any_of(arms)})", USAGE, "cpu_cores")


def memory(scope: Scope) -> Iterator[str]:
    """Bytes. After a restart the old container may still be listed: of a container's series the largest counts."""
    metric = "container_memory_working_set_bytes"
    by_container = most_by_pod(fresh(scope.of(metric, *_CONTAINER), scope), scope, "container")
    arms = (
        total_by_pod(by_container, scope),
        most_by_pod(fresh(scope.of(metric, *_WHOLE_POD), scope), scope),
        total_by_pod(fresh(scope.of("process_resident_memory_bytes", 'pod!=""'), scope), scope),
    )
    yield tagged(f"({any_of(arms)})", USAGE, "memory_bytes")


def pool(scope: Scope) -> Iterator[str]:
    """Connections in use and the most there may be, by pool; labels are the shop's or OpenTelemetry's."""
    names = ("pool", "db_client_connection_pool_name")
    count = "db_client_connection_count"
    used = any_of(fresh(scope.of(count, f'{label}="used"'), scope) for label in ("state", "db_client_connection_state"))
    yield tagged(total_by_pod(used, scope, *names), USAGE, "pool_used")
    yield tagged(most_by_pod(fresh(scope.of("db_client_connection_max"), scope), scope, *names), USAGE, "pool_size")


def queue(scope: Scope) -> Iterator[str]:
    """Requests that wait in a pod; where nobody counts them, all that are being answered."""
    arms = (
        total_by_pod(fresh(scope.of("shop_admission_queued"), scope), scope),
        total_by_pod(fresh(scope.of("http_server_active_requests"), scope), scope),
    )
    yield tagged(f"({any_of(arms)})", USAGE, "queued")


def disk(scope: Scope) -> Iterator[str]:
    """Bytes used and bytes there are, by claim; the kubelet reports them for volumes that are mounted."""
    by_claim = f"max by({scope.reading.namespace_label},persistentvolumeclaim)"
    yield tagged(f"{by_claim}({fresh(scope.of('kubelet_volume_stats_used_bytes'), scope)})", USAGE, "disk_used")
    yield tagged(f"{by_claim}({fresh(scope.of('kubelet_volume_stats_capacity_bytes'), scope)})", USAGE, "disk_size")


def replication_lag(scope: Scope) -> Iterator[str]:
    """Seconds, of standbys, from Patroni or from postgres_exporter.

    The time of the last replayed transaction grows old on an idle primary too: it counts only while something that was
    received waits to be replayed.
    """
    replayed = most_by_pod(fresh(scope.of("patroni_xlog_replayed_timestamp"), scope), scope)
    waits = (
        f"({most_by_pod(fresh(scope.of('patroni_xlog_received_location'), scope), scope)}"
        f">bool {most_by_pod(fresh(scope.of('patroni_xlog_replayed_location'), scope), scope)})"
    )
    standby = f"({most_by_pod(fresh(scope.of('patroni_replica'), scope), scope)}==1)"
    arms = (
        f"(clamp_min(time()-({replayed}>0),0)*{waits} and {standby})",
        most_by_pod(fresh(scope.of("pg_replication_lag_seconds"), scope), scope),
    )
    yield tagged(f"({any_of(arms)})", USAGE, "lag_s")
