"""What each preset knows about requests, as arms of a few shared queries.

Labels of arms are joined in `joining`. Offered demand includes what was rejected. Retries are taken out where they are
counted: the demo shop counts its own; a mesh and an ingress count a request once however often they try.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from foresail.prometheus.expressions import any_of, p99, rate, tagged, total_by_group, total_by_pod
from foresail.prometheus.selection import Scope
from foresail.prometheus.watched import Preset

#: Requests of probes and scrapes are no demand.
_NO_PROBES = tuple(
    f'{label}!~"/?(-/.*|healthz?|livez?|readyz?|startupz?|metrics|actuator/.*)"' for label in ("route", "http_route")
)
_FAILED, _REJECTED = "5..", "429|503"

Arms = Callable[[Scope], Iterator[str]]


@dataclass(frozen=True, slots=True)
class PresetQueries:
    """Arms for demand and for the 99th percentile by workload, and by pod where the preset sees pods."""

    demand: Arms
    latency: Arms
    pods: Arms
    pod_latency: Arms


def _nothing(_: Scope) -> Iterator[str]:
    return iter(())


# -- otel-http -----------------------------------------------------------------------------------------------------

_SERVER = "http_server_request_duration_seconds"
_OTEL = Preset.OTEL_HTTP


def _served(scope: Scope, suffix: str = "count") -> str:
    return rate(scope.of(f"{_SERVER}_{suffix}", *_NO_PROBES), scope)


def _served_with(scope: Scope, statuses: str) -> str:
    """The status as the shop labels it, or as OpenTelemetry does."""
    return any_of(
        rate(scope.of(f"{_SERVER}_count", f'{label}=~"{statuses}"', *_NO_PROBES), scope)
        for label in ("status", "http_response_status_code")
    )


def _otel_demand(scope: Scope) -> Iterator[str]:
    yield tagged(total_by_group(_served(scope), scope), _OTEL, "offered")
    yield tagged(total_by_group(_served_with(scope, _FAILED), scope), _OTEL, "failed")
    yield tagged(total_by_group(_served_with(scope, _REJECTED), scope), _OTEL, "rejected")
    shed = any_of(rate(scope.of(name), scope) for name in ("shop_shed_total", "shop_too_busy_total"))
    yield tagged(total_by_group(shed, scope), _OTEL, "shed")
    # What the callers sent: more than what arrived when pods are dead or their backlog is full.
    by_upstream = f"sum by({scope.reading.namespace_label},upstream)"
    called = rate(scope.of("http_client_request_duration_seconds_count", 'upstream!=""'), scope)
    yield tagged(f"{by_upstream}({called})", _OTEL, "called")
    again = rate(scope.of("shop_client_retries_total", 'kind=~"retry|hedge"'), scope)
    yield tagged(f"{by_upstream}({again})", _OTEL, "again")


def _otel_latency(scope: Scope) -> Iterator[str]:
    yield tagged(p99(total_by_group(_served(scope, "bucket"), scope, "le")), _OTEL, "latency_p99")


def _otel_pods(scope: Scope) -> Iterator[str]:
    yield tagged(total_by_pod(_served(scope), scope), _OTEL, "requests")
    yield tagged(total_by_pod(_served_with(scope, _FAILED), scope), _OTEL, "errors")
    yield tagged(total_by_pod(_served(scope, "sum"), scope), _OTEL, "busy_s")


def _otel_pod_latency(scope: Scope) -> Iterator[str]:
    yield tagged(p99(total_by_pod(_served(scope, "bucket"), scope, "le")), _OTEL, "latency_p99")


# -- istio ---------------------------------------------------------------------------------------------------------

_ISTIO = Preset.ISTIO
_DESTINATION = "destination_workload_namespace"
_BY_DESTINATION = f"sum by({_DESTINATION},destination_workload"
_BROKEN = f"{_FAILED}|0"  # 0: the connection broke before an answer


def _code(codes: str) -> str:
    return f'response_code=~"{codes}"'


def _meshed(scope: Scope, metric: str, reporter: str, *matchers: str) -> str:
    selector = scope.of(
        metric, f'reporter="{reporter}"', 'request_protocol!="tcp"', *matchers, namespace_label=_DESTINATION
    )
    return rate(selector, scope)


def _reported(scope: Scope, metric: str, *matchers: str, label: str = "") -> str:
    """As the callers' proxies see it, since they also see what never arrived; else as the workload's own does."""
    by = f"{_BY_DESTINATION}{label})"
    return any_of(f"{by}({_meshed(scope, metric, reporter, *matchers)})" for reporter in ("source", "destination"))


def _istio_demand(scope: Scope) -> Iterator[str]:
    requests = "istio_requests_total"
    yield tagged(f"({_reported(scope, requests)})", _ISTIO, "offered")
    failed, rejected = (_reported(scope, requests, _code(codes)) for codes in (_BROKEN, _REJECTED))
    yield tagged(f"({failed})", _ISTIO, "failed")
    yield tagged(f"({rejected})", _ISTIO, "rejected")


def _istio_latency(scope: Scope) -> Iterator[str]:
    buckets = _reported(scope, "istio_request_duration_milliseconds_bucket", label=",le")
    yield tagged(f"0.001*{p99(buckets)}", _ISTIO, "latency_p99")


def _istio_pods(scope: Scope) -> Iterator[str]:
    requests, busy_ms = "istio_requests_total", "istio_request_duration_milliseconds_sum"
    yield tagged(total_by_pod(_meshed(scope, requests, "destination"), scope), _ISTIO, "requests")
    failed = _meshed(scope, requests, "destination", _code(_BROKEN))
    yield tagged(total_by_pod(failed, scope), _ISTIO, "errors")
    busy = total_by_pod(_meshed(scope, busy_ms, "destination"), scope)
    yield tagged(f"0.001*{busy}", _ISTIO, "busy_s")


def _istio_pod_latency(scope: Scope) -> Iterator[str]:
    buckets = total_by_pod(_meshed(scope, "istio_request_duration_milliseconds_bucket", "destination"), scope, "le")
    yield tagged(f"0.001*{p99(buckets)}", _ISTIO, "latency_p99")


# -- nginx-ingress -------------------------------------------------------------------------------------------------

_NGINX = Preset.NGINX_INGRESS


def _through_nginx(scope: Scope, metric: str, *matchers: str, label: str = "") -> str:
    """Scrapes that do not honour labels call the ingress' own namespace and service "exported"."""
    honoured = rate(
        scope.of(metric, 'exported_namespace=""', 'service!=""', *matchers, namespace_label="namespace"), scope
    )
    exported = rate(scope.of(metric, 'exported_service!=""', *matchers, namespace_label="exported_namespace"), scope)
    renamed = _renamed(_renamed(exported, "namespace"), "service")
    return f"sum by(namespace,service{label})({honoured} or {renamed})"


def _renamed(expression: str, label: str) -> str:
    return f'label_replace({expression},"{label}","$1","exported_{label}","(.+)")'


def _nginx_demand(scope: Scope) -> Iterator[str]:
    requests = "nginx_ingress_controller_requests"
    yield tagged(_through_nginx(scope, requests), _NGINX, "offered")
    yield tagged(_through_nginx(scope, requests, f'status=~"{_FAILED}"'), _NGINX, "failed")
    yield tagged(_through_nginx(scope, requests, f'status=~"{_REJECTED}"'), _NGINX, "rejected")


def _nginx_latency(scope: Scope) -> Iterator[str]:
    buckets = _through_nginx(scope, "nginx_ingress_controller_request_duration_seconds_bucket", label=",le")
    yield tagged(p99(buckets), _NGINX, "latency_p99")


# -- traefik -------------------------------------------------------------------------------------------------------

_TRAEFIK = Preset.TRAEFIK


def _through_traefik(scope: Scope, metric: str, *matchers: str, label: str = "") -> str:
    """Traefik names a service "namespace-name-port@provider"; scrapes may call that label "exported", as with nginx."""
    ours = f'=~"({scope.namespaces})-.+@kubernetes.*"'
    honoured = rate(scope.where(metric, f"service{ours}", *matchers), scope)
    exported = rate(scope.where(metric, f"exported_service{ours}", *matchers), scope)
    return f"sum by(service{label})({honoured} or {_renamed(exported, 'service')})"


def _traefik_demand(scope: Scope) -> Iterator[str]:
    requests = "traefik_service_requests_total"
    yield tagged(_through_traefik(scope, requests), _TRAEFIK, "offered")
    yield tagged(_through_traefik(scope, requests, f'code=~"{_FAILED}"'), _TRAEFIK, "failed")
    yield tagged(_through_traefik(scope, requests, f'code=~"{_REJECTED}"'), _TRAEFIK, "rejected")


def _traefik_latency(scope: Scope) -> Iterator[str]:
    buckets = _through_traefik(scope, "traefik_service_request_duration_seconds_bucket", label=",le")
    yield tagged(p99(buckets), _TRAEFIK, "latency_p99")


PRESETS: dict[Preset, PresetQueries] = {
    Preset.OTEL_HTTP: PresetQueries(_otel_demand, _otel_latency, _otel_pods, _otel_pod_latency),
    Preset.ISTIO: PresetQueries(_istio_demand, _istio_latency, _istio_pods, _istio_pod_latency),
    Preset.NGINX_INGRESS: PresetQueries(_nginx_demand, _nginx_latency, _nothing, _nothing),
    Preset.TRAEFIK: PresetQueries(_traefik_demand, _traefik_latency, _nothing, _nothing),
    Preset.CUSTOM: PresetQueries(_nothing, _nothing, _nothing, _nothing),
}
