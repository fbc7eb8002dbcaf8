"""What Prometheus knows of a run's services and pods, asked once when the run is over."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chaos.experiments.measured.rows import POD_WINDOW_S, SERVICE_WINDOW_S, PodRow, ServiceRow
from chaos.experiments.problems import RunFailed
from chaos.experiments.shop_map import ROLES, STORES

TIMEOUT_S = 30.0
_SERVED = "http_server_request_duration_seconds"
_FAILED = 'status=~"5.."'

#: Answers by (labels asked for, time): the value, missing where there is none.
Values = Mapping[tuple[tuple[str, ...], float], float]


@dataclass(frozen=True, slots=True)
class PrometheusRows:
    """Range queries against one Prometheus. All raise `RunFailed`.

    Services are known by the names of their pods: `namespace` and `pod` are labels that every Prometheus puts on.
    """

    url: Callable[[], str]  # asked for when it is needed; may raise `RunFailed`
    namespace: str
    release: str

    def services(self, first_s: float, last_s: float, step_s: float) -> tuple[ServiceRow, ...]:
        def asked(query: str) -> Values:
            return self._values(query, ("component",), first_s, last_s, step_s)

        offered = asked(f"sum by(component)({self._served('count', SERVICE_WINDOW_S)})")
        failed = asked(f"sum by(component)({self._served('count', SERVICE_WINDOW_S, _FAILED)})")
        buckets = f"sum by(component,le)({self._served('bucket', SERVICE_WINDOW_S)})"
        p50, p99 = (asked(f"1000*histogram_quantile({level},{buckets})") for level in (0.5, 0.99))
        keys = sorted(offered, key=lambda key: (key[1], key[0]))
        return tuple(
            ServiceRow(
                at_s, name, offered[(name,), at_s], *(known.get(((name,), at_s)) for known in (failed, p50, p99))
            )
            for (name,), at_s in keys
        )

    def pods(self, first_s: float, last_s: float, step_s: float) -> tuple[PodRow, ...]:
        """Requests of the shop's own pods, CPU of theirs and the stores'."""
        answered = self._values(
            f"sum by(component,pod)({self._served('count', POD_WINDOW_S)})",
            ("component", "pod"),
            first_s,
            last_s,
            step_s,
        )
        containers = f'namespace="{self.namespace}",container!=""'
        used = self._values(
            f"sum by(pod)(rate(container_cpu_usage_seconds_total{{{containers}}}[{POD_WINDOW_S:g}s]))",
            ("pod",),
            first_s,
            last_s,
            step_s,
        )
        service_of = {pod: component for (component, pod), _ in answered}
        service_of.update({pod: store for (pod,), _ in used for store in STORES if f"-{store}-" in pod})
        keys = {(pod, at_s) for (_, pod), at_s in answered} | {(pod, at_s) for (pod,), at_s in used}
        return tuple(
            PodRow(at_s, service_of[pod], pod, answered.get(((service_of[pod], pod), at_s)), used.get(((pod,), at_s)))
            for pod, at_s in sorted(keys, key=lambda key: (key[1], key[0]))
            if pod in service_of
        )

    def _served(self, suffix: str, window_s: float, *matchers: str) -> str:
        """Rates of the shop's own requests, each with the role of its pod as `component`."""
        pods = f"{self.release}-({'|'.join(ROLES)})-.+"
        chosen = ",".join((f'namespace="{self.namespace}"', f'pod=~"{pods}"', 'route!~"/-/.*"', *matchers))
        rate = f"rate({_SERVED}_{suffix}{{{chosen}}}[{window_s:g}s])"
        return f'label_replace({rate},"component","$1","pod","{pods}")'

    def _values(
        self, query: str, labels: tuple[str, ...], first_s: float, last_s: float, step_s: float
    ) -> dict[tuple[tuple[str, ...], float], float]:
        asked = {"query": query, "start": f"{first_s:.3f}", "end": f"{last_s:.3f}", "step": f"{step_s:g}"}
        address = f"{self.url().rstrip('/')}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
                raw = json.load(answer)
            return values_of(raw["data"]["result"], labels)
        except (urllib.error.URLError, OSError, KeyError, TypeError, ValueError) as error:
            raise RunFailed(f"Prometheus did not answer {query!r}: {error!r}") from error


def values_of(result: list[dict[str, Any]], labels: tuple[str, ...]) -> dict[tuple[tuple[str, ...], float], float]:
    """The finite values of a matrix, by labels and time; a label that is not there is empty."""
    return {
        (tuple(str(series["metric"].get(label, "")) for label in labels), float(at_s)): float(text)
        for series in result
        for at_s, text in series["values"]
        if math.isfinite(float(text))
    }
