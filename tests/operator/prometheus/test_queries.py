"""How many questions there are, and about whom."""

from __future__ import annotations

import numpy as np
import pytest
from mock_prometheus import Series, SyntheticShop, mock_prometheus

from foresail.prometheus.answers import Frame
from foresail.prometheus.client import PrometheusClient
from foresail.prometheus.groups import group_of
from foresail.prometheus.metrics import PrometheusMetrics
from foresail.prometheus.queries import Question, plan
from foresail.prometheus.scrape_interval import interval_s
from foresail.prometheus.selection import ALL_NAMESPACES, scopes
from foresail.prometheus.settings import Connection, Reading
from foresail.prometheus.watched import Expression, Figure, PodFacts, PodIndex, Preset, Watched
from policies.model import SignalKind

NOW_S = 1_800_000_006.0


def queries_of_a_minute(workloads: int) -> int:
    """The most that any of four ticks sends, once history is filled."""
    shop = SyntheticShop(workloads=workloads, pods=1, namespaces=5)
    with mock_prometheus(shop) as mock:
        metrics = PrometheusMetrics(
            PrometheusClient(Connection(mock.url, timeout_s=60.0)),
            # So much at once that the past is complete after four ticks, whatever the size.
            Reading(demand_points=8, signal_points=9, tick_budget_s=60.0, largest_fill=1_000_000),
        )
        pods = {pod: PodFacts(key) for key in shop.names() for pod in shop.pods_of(key)}
        metrics.watch([Watched(key) for key in shop.names()], PodIndex(pods))
        metrics.start(NOW_S)
        counts = []
        for tick in range(8):
            before = len(mock.asked)
            metrics.refresh(NOW_S + 15.0 * tick)
            assert metrics.queries == len(mock.asked) - before
            counts.append(metrics.queries)
        return max(counts[4:])


def test_a_thousand_workloads_take_as_many_queries_as_ten() -> None:
    assert queries_of_a_minute(10) == queries_of_a_minute(1000) == 10


def test_all_presets_together_take_no_more_queries_than_one() -> None:
    one = plan([Watched("shop/web")], Reading())
    all_of_them = plan([Watched(f"shop/{preset}", preset) for preset in Preset], Reading())

    assert one.queries(minute=True) == all_of_them.queries(minute=True) == 10
    assert one.queries(minute=False) == 5


def test_one_expression_for_many_workloads_is_one_query() -> None:
    shared = Expression('sum by (namespace, workload) (rate(x{namespace=~"$namespaces"}[$window]))', Figure.OFFERED)
    own = Expression("sum(rate(y[1m]))", Figure.OFFERED)
    watched = [Watched(f"shop/{name}", Preset.CUSTOM, (shared,)) for name in "abc"]

    planned = plan([*watched, Watched("bank/d", Preset.CUSTOM, (own,))], Reading())

    assert {query.promql: len(query.users) for query in planned.custom} == {
        'sum by (namespace, workload) (rate(x{namespace=~"bank|shop"}[30s]))': 3,
        "sum(rate(y[1m]))": 1,
    }


def test_a_failure_signal_of_a_user_is_asked_for_once_a_minute() -> None:
    signal = Expression("certificates", SignalKind.QUEUE, limit=10.0)

    planned = plan([Watched("shop/a", expressions=(signal,))], Reading())

    assert planned.queries(minute=True) == 11
    assert planned.queries(minute=False) == 5


def test_expressions_of_users_become_demand_and_signals_with_one_query_each() -> None:
    shop = SyntheticShop(workloads=2, pods=1)
    (pod,) = shop.pods_of("shop-0/web-0")
    own = (Expression("mine", Figure.OFFERED), Expression("depth", SignalKind.QUEUE, limit=10.0))
    with mock_prometheus(shop) as mock:
        mock.custom["mine"] = [
            Series({"namespace": "shop-0", "workload": name}, lambda t: 7.0 + 0.0 * t) for name in ("web-0", "web-1")
        ]
        mock.custom["depth"] = [Series({"namespace": "shop-0", "pod": pod.partition("/")[2]}, lambda t: 6.0 + 0.0 * t)]
        metrics = PrometheusMetrics(PrometheusClient(Connection(mock.url)), Reading(demand_points=8, signal_points=9))
        watched = [Watched(name, Preset.CUSTOM, own) for name in shop.names()]
        metrics.watch(watched, PodIndex({pod: PodFacts("shop-0/web-0")}))

        metrics.refresh(NOW_S)

        asked = [asked.query for asked in mock.asked]

    assert metrics.workloads["shop-0/web-1"].offered_rps == 7.0
    signals = metrics.signal_history(NOW_S)
    assert signals is not None
    row = next(row for row, target in enumerate(signals.targets) if target.kind is SignalKind.QUEUE)
    assert (signals.values[row, -1], signals.limits[row]) == (6.0, 10.0)
    assert asked.count("depth") == 1
    assert asked.count("mine") == 3  # now, the eight points of the past, and last week


def test_a_long_selector_is_split_where_names_end() -> None:
    parts = scopes(["aa", "bb", "cc"], Reading(), longest=6)

    assert [part.namespaces for part in parts] == ["aa|bb", "cc"]


def test_a_selector_that_needs_too_many_parts_is_dropped() -> None:
    parts = scopes([f"namespace-{k}" for k in range(100)], Reading(most_parts=2), longest=50)

    assert [part.namespaces for part in parts] == [ALL_NAMESPACES]


def test_the_number_of_queries_is_bounded_whatever_the_namespaces() -> None:
    watched = [Watched(f"namespace-number-{k}/web") for k in range(5000)]

    assert plan(watched, Reading()).queries(minute=True) <= 20


def test_text_that_is_no_namespace_never_reaches_a_query() -> None:
    parts = scopes(['shop"} or vector(1', "shop"], Reading(), longest=100)

    assert [part.namespaces for part in parts] == ["shop"]


def test_extra_matchers_stand_in_every_selector() -> None:
    planned = plan([Watched("shop/a"), Watched("shop/b", Preset.TRAEFIK)], Reading(extra_matchers='cluster="eu"'))

    for question in Question:
        for text in planned.parts[question]:
            assert text.count("{") == text.count('cluster="eu"') + text.count("{1,10}") + text.count(
                "{5}"
            ) + text.count("${")


@pytest.mark.parametrize(
    ("samples", "interval"),
    [
        (61.0, 5.0),
        (60.0, 5.0),
        (21.0, 15.0),
        (20.0, 15.0),
        (19.0, 15.0),
        (11.0, 30.0),
        (6.0, 60.0),
        (5.0, 60.0),
        (2.0, 120.0),
    ],
)
def test_samples_of_five_minutes_tell_the_scrape_interval(samples: float, interval: float) -> None:
    assert interval_s(Frame(({},), np.array([[samples]]))) == interval


@pytest.mark.parametrize("answer", [None, Frame((), np.zeros((0, 1))), Frame(({},), np.array([[1.0]]))])
def test_too_few_samples_tell_nothing_about_the_interval(answer: Frame | None) -> None:
    assert interval_s(answer) is None


def test_rates_reach_over_two_scrapes_however_far_apart_they_are() -> None:
    with mock_prometheus(SyntheticShop(workloads=1)) as mock:
        mock.interval = Series({}, lambda t: 11.0 + 0.0 * t)  # every 30 s
        metrics = PrometheusMetrics(PrometheusClient(Connection(mock.url)), Reading(demand_points=8, signal_points=9))
        metrics.watch([Watched("shop-0/web-0")], PodIndex())

        metrics.refresh(NOW_S)

        demand = next(asked.query for asked in mock.asked if "offered" in asked.query)
        assert "[60s]" in demand
        assert "[30s]" not in demand


@pytest.mark.parametrize(
    ("pod", "group"),
    [
        ("web-7d4b9c6f5d-x2x4z", "web"),
        ("web-frontend-7d4b9c6f5d-x2x4z", "web-frontend"),
        ("patroni-0", "patroni"),
        ("agent-x2x4z", "agent"),
        ("lonely", "lonely"),
        ("web-1-7d4b9c6f5d-x2x4z", "web-1"),
    ],
)
def test_the_name_of_a_pod_tells_its_group(pod: str, group: str) -> None:
    assert group_of(pod) == group
