"""Pieces of PromQL that the presets are made of.

Every sum keeps the namespace and a label that can be joined to a workload, never more, so that the size of an answer
grows with workloads or pods and not with routes, methods or containers.
"""

from __future__ import annotations

from collections.abc import Iterable

from foresail.prometheus.groups import GROUP_PATTERN
from foresail.prometheus.selection import Scope

#: Says of every row which preset and figure it belongs to, as "preset/figure".
TAG = "foresail"
GROUP = "foresail_group"


def duration(seconds: float) -> str:
    """As Prometheus writes it: whole numbers only."""
    return f"{seconds:.0f}s" if seconds == int(seconds) else f"{max(1, round(seconds * 1000))}ms"


def tagged(expression: str, preset: str, figure: str) -> str:
    return f'label_replace({expression},"{TAG}","{preset}/{figure}","","")'


def any_of(arms: Iterable[str]) -> str:
    """Rows of all arms; of rows with the same labels those of the first arm."""
    return " or ".join(arms)


def rate(selector: str, scope: Scope) -> str:
    return f"rate({selector}[{duration(scope.reading.window_s)}])"


def container_rate(selector: str, scope: Scope) -> str:
    return f"rate({selector}[{duration(scope.reading.container_window_s)}])"


def fresh(selector: str, scope: Scope) -> str:
    """A gauge, unless its sample is older than the bound: Prometheus itself looks back five minutes."""
    return f"({selector} and timestamp({selector})>time()-{scope.reading.stale_after_s:g})"


def total_by_pod(expression: str, scope: Scope, *labels: str) -> str:
    return f"sum by({_pod_labels(scope, *labels)})({expression})"


def most_by_pod(expression: str, scope: Scope, *labels: str) -> str:
    return f"max by({_pod_labels(scope, *labels)})({expression})"


def total_by_group(expression: str, scope: Scope, *labels: str) -> str:
    """Sums over pods that share the part of their name that comes from the workload, pods of the past included."""
    pod = scope.reading.pod_label
    name = "${1}${2}${3}${4}"  # one of the alternatives matched, the others are empty
    by_pod = total_by_pod(expression, scope, *labels)
    grouped = f'label_replace({by_pod},"{GROUP}","{name}","{pod}","{GROUP_PATTERN}")'
    return f"sum by({','.join((scope.reading.namespace_label, GROUP, *labels))})({grouped})"


def p99(buckets: str) -> str:
    return f"histogram_quantile(0.99,{buckets})"


def _pod_labels(scope: Scope, *labels: str) -> str:
    return ",".join((scope.reading.namespace_label, scope.reading.pod_label, *labels))
