"""What checkout measures beside what every service does."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from demo_shop.checkout.model import Order, OrderState
from demo_shop.checkout.relay import Backlog


class CheckoutMetrics:
    """Business figures leave out the synthetic probe, which is counted by itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._orders = Counter(
            "shop_orders_total",
            "Orders decided by this process; unknown: requests that were told to ask again with the same key",
            ["outcome"],
            registry=registry,
        )
        self._probe_orders = Counter(
            "shop_probe_orders_total", "The same, of the synthetic probe", ["outcome"], registry=registry
        )
        for outcome in ("confirmed", "rejected", "unknown"):
            self._orders.labels(outcome)
            self._probe_orders.labels(outcome)
        self._value = Counter("shop_order_value_cents_total", "Worth of the confirmed orders", registry=registry)
        self.degraded = Counter(
            "shop_checkout_degraded_total",
            "Checkouts priced from the catalogue, pricing being silent",
            registry=registry,
        )
        self.stream_failures = Counter(
            "shop_order_stream_failures_total", "Confirmed orders that the Redis stream missed", registry=registry
        )
        self.resumed = Counter(
            "shop_orders_resumed_total", "Orders that the sweeper brought to their end", registry=registry
        )
        self._backlog = Gauge("shop_outbox_backlog", "Facts that wait for their delivery", registry=registry)
        self._oldest_s = Gauge("shop_outbox_oldest_age_seconds", "Age of the oldest of them", registry=registry)

    def decided(self, order: Order) -> None:
        """Counts an order that this process decided."""
        self._counter(order.synthetic).labels(order.state.value).inc()
        if order.state is OrderState.CONFIRMED and not order.synthetic:
            self._value.inc(order.total_cents)

    def unknown(self, *, synthetic: bool) -> None:
        """Counts a request whose outcome nobody could tell in time."""
        self._counter(synthetic).labels("unknown").inc()

    def backlog(self, backlog: Backlog) -> None:
        self._backlog.set(backlog.facts)
        self._oldest_s.set(backlog.oldest_s)

    def _counter(self, synthetic: bool) -> Counter:
        return self._probe_orders if synthetic else self._orders
