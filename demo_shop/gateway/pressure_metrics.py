"""What the gateway's traffic engineering does, as metrics. Read when scraped, so that requests pay nothing for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from demo_shop.gateway.admission import Admission, Shed
from demo_shop.gateway.dimmer import Dimmer, Part
from demo_shop.gateway.priorities import Priority
from demo_shop.gateway.rate_limit import RateLimiter


class PressureMetrics(Collector):
    """Every class, reason and part is there from the start, at zero: a rate needs a value before the first event."""

    def __init__(self, admission: Admission, dimmer: Dimmer, limiter: RateLimiter, clock: Callable[[], float]) -> None:
        self._admission, self._dimmer, self._limiter, self._clock = admission, dimmer, limiter, clock

    def collect(self) -> Iterator[Metric]:
        yield from self._of_admission()
        yield from self._of_dimmer()
        refused = CounterMetricFamily("shop_rate_limited", "Requests refused with 429")
        refused.add_metric([], self._limiter.refused)
        yield refused
        clients = GaugeMetricFamily("shop_rate_limit_clients", "Clients whose rate is remembered")
        clients.add_metric([], len(self._limiter))
        yield clients

    def _of_admission(self) -> Iterator[Metric]:
        admission = self._admission
        yield GaugeMetricFamily("shop_admission_in_flight", "Requests being worked on", admission.in_flight)
        yield GaugeMetricFamily("shop_admission_limit", "Requests that may be worked on at once now", admission.limit)
        queued = GaugeMetricFamily("shop_admission_queued", "Requests waiting for a slot", labels=["class"])
        for priority, waiting in admission.queued().items():
            queued.add_metric([priority.label], waiting)
        yield queued
        shed = CounterMetricFamily(
            "shop_shed", "Requests sent away with 503, or whose client left the queue", labels=["class", "reason"]
        )
        for priority in Priority:
            for why in Shed:
                shed.add_metric([priority.label, why], admission.shed.get((priority, why), 0))
        yield shed

    def _of_dimmer(self) -> Iterator[Metric]:
        now_s = self._clock()
        dimmer = self._dimmer
        yield GaugeMetricFamily(
            "shop_dimmer_level", "Share of optional content that is served (0 to 1)", dimmer.effective(now_s)
        )
        yield GaugeMetricFamily(
            "shop_dimmer_inner", "Share that the dimmer would serve without a ceiling", dimmer.inner
        )
        yield GaugeMetricFamily(
            "shop_brownout_ceiling",
            "The operator's ceiling on optional content, 1 without one",
            dimmer.ceiling.value(now_s),
        )
        degraded = CounterMetricFamily(
            "shop_degraded_responses", "Answers that went out without an optional part", labels=["part"]
        )
        for part in Part:
            degraded.add_metric([part], dimmer.degraded[part])
        yield degraded
