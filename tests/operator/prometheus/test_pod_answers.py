"""Rows of answers → values of pods, and failure signals with their limits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from forecasting.forecast import Floats
from foresail.prometheus.answers import Frame
from foresail.prometheus.joining import Joiner
from foresail.prometheus.pod_answers import pod_metrics, pod_rows
from foresail.prometheus.queries import CustomQuery
from foresail.prometheus.reasons import UnknownReason
from foresail.prometheus.settings import Reading
from foresail.prometheus.signal_answers import signal_table
from foresail.prometheus.signal_log import SignalLog, SignalTable
from foresail.prometheus.watched import Expression, PodFacts, PodIndex, Preset, Watched
from policies.model import SignalKind, SignalTarget

READING = Reading()
INDEX = PodIndex({"shop/db-0": PodFacts("shop/db", memory_limit_mib=512.0), "shop/idle-0": PodFacts("shop/idle")})
MIB = 2.0**20


def row(tag: str, *values: float, pod: str = "db-0", **labels: str) -> tuple[Mapping[str, str], tuple[float, ...]]:
    return {"namespace": "shop", "pod": pod, "foresail": tag, **labels}, values


def frame(*rows: tuple[Mapping[str, str], tuple[float, ...]]) -> Frame:
    return Frame(tuple(labels for labels, _ in rows), np.array([values for _, values in rows]))


def joiner(*watched: Watched) -> Joiner:
    return Joiner(watched or (Watched("shop/db"), Watched("shop/idle")), INDEX, READING)


def signals(
    found: Frame, *watched: Watched, custom: tuple[tuple[CustomQuery, Frame], ...] = ()
) -> dict[SignalKind, tuple[list[float], float]]:
    who = joiner(*watched)
    table = signal_table(pod_rows([found], who, READING), custom, who, READING, found.steps)
    return {
        target.kind: (values.tolist(), limit)
        for target, values, limit in zip(table.targets, table.values, table.limits.tolist(), strict=True)
    }


def test_a_pod_is_what_its_rows_say() -> None:
    found = frame(
        row("otel-http/requests", 20.0),
        row("otel-http/errors", 1.0),
        row("otel-http/busy_s", 3.0),
        row("otel-http/latency_p99", 0.5),
        row("usage/cpu_cores", 0.4),
        row("usage/memory_bytes", 100.0 * MIB),
    )

    seen = pod_metrics(pod_rows([found], joiner(), READING))["shop/db-0"]

    # 1 of 20 failed; 3 s of work for 20 requests.
    assert seen.error_ratio == pytest.approx(0.05)
    assert seen.latency_mean_s == pytest.approx(0.15)
    assert (seen.rate_rps, seen.latency_p99_s, seen.cpu_cores, seen.memory_mib) == (20.0, 0.5, 0.4, 100.0)


def test_a_pod_without_requests_has_neither_latency_nor_errors() -> None:
    found = frame(row("otel-http/requests", 0.0), row("otel-http/busy_s", 0.0))

    seen = pod_metrics(pod_rows([found], joiner(), READING))["shop/db-0"]

    assert (seen.rate_rps, seen.error_ratio, seen.latency_mean_s) == (0.0, None, None)


def test_pods_that_nobody_owns_are_counted_and_left_out() -> None:
    rows = pod_rows([frame(row("usage/cpu_cores", 1.0, pod="stranger"))], joiner(), READING)

    assert pod_metrics(rows) == {}
    assert rows.problems[UnknownReason.NO_OWNER] == 1


def test_requests_of_another_preset_are_not_this_pods() -> None:
    found = frame(row("otel-http/requests", 5.0), row("istio/requests", 7.0))

    seen = pod_metrics(pod_rows([found], joiner(Watched("shop/db", Preset.ISTIO)), READING))

    assert seen["shop/db-0"].rate_rps == 7.0


def test_memory_is_a_signal_only_against_a_declared_limit() -> None:
    found = frame(row("usage/memory_bytes", 100.0 * MIB), row("usage/memory_bytes", 100.0 * MIB, pod="idle-0"))

    assert signals(found) == {SignalKind.MEMORY: ([100.0], 512.0)}


def test_the_fullest_pool_counts_in_connections_of_its_size_now() -> None:
    found = frame(
        row("usage/pool_used", 4.0, 8.0, pool="write"),
        row("usage/pool_size", 10.0, 16.0, pool="write"),
        row("usage/pool_used", 9.0, 9.0, pool="read"),
        row("usage/pool_size", 30.0, 30.0, pool="read"),
    )

    # "write" is at 0.4, then at 0.5 of 16; a resize from 10 to 16 is no jump in the share.
    assert signals(found) == {SignalKind.CONNECTION_POOL: ([6.4, 8.0], 16.0)}


def test_a_pool_of_unknown_size_is_no_signal() -> None:
    assert signals(frame(row("usage/pool_used", 4.0, pool="write"))) == {}


def test_a_volume_belongs_to_the_pod_that_its_claim_is_named_after() -> None:
    claim = {"namespace": "shop", "persistentvolumeclaim": "pg-data-db-0"}
    found = Frame(
        ({**claim, "foresail": "usage/disk_used"}, {**claim, "foresail": "usage/disk_size"}),
        np.array([[300.0 * MIB], [1000.0 * MIB]]),
    )

    ((values, limit),) = signals(found).values()

    assert values == pytest.approx([300.0])
    assert limit == 1000.0


def test_latency_errors_and_lag_have_the_limits_of_the_policy() -> None:
    found = frame(
        row("otel-http/requests", 10.0, 10.0),
        row("otel-http/errors", 1.0, float("nan")),
        row("otel-http/busy_s", 2.0, 4.0),
        row("usage/lag_s", 3.0, 4.0),
        row("usage/queued", 5.0, 6.0),
    )

    assert signals(found, Watched("shop/db", slo_latency_s=0.4, queue_limit=50.0)) == {
        SignalKind.LATENCY: ([0.2, 0.4], 0.4),
        SignalKind.ERRORS: ([0.1, 0.0], 1.0),
        SignalKind.REPLICATION_LAG: ([3.0, 4.0], 20.0),
        SignalKind.QUEUE: ([5.0, 6.0], 50.0),
    }


def test_a_signal_of_a_user_replaces_the_preset_and_brings_its_limit() -> None:
    watched = Watched("shop/db", expressions=(Expression("x", SignalKind.MEMORY, limit=7.0),))
    query = CustomQuery("x", (("shop/db", SignalKind.MEMORY),))
    answer = Frame(({"namespace": "shop", "pod": "db-0"},), np.array([[6.0]]))

    found = signals(frame(row("usage/memory_bytes", MIB)), watched, custom=((query, answer),))

    assert found == {SignalKind.MEMORY: ([6.0], 7.0)}


def logged(values: Floats, limit: float = 100.0) -> SignalTable:
    target = SignalTarget(SignalKind.MEMORY, "shop/db", "db-0")
    return SignalTable((target,), np.asarray(values, dtype=np.float64).reshape(1, -1), np.array([limit]))


def test_a_missed_minute_is_a_gap() -> None:
    log = SignalLog(10, 60.0)
    log.write(100, logged(np.array([1.0])), lambda target: True)
    log.write(102, logged(np.array([3.0])), lambda target: True)

    history = log.history()

    assert history is not None
    np.testing.assert_array_equal(history.values[0, -3:], [1.0, np.nan, 3.0])
    assert history.last_at_s == 6120.0


def test_a_gap_can_be_filled_later_and_nothing_known_is_replaced() -> None:
    log = SignalLog(10, 60.0)
    log.write(100, logged(np.array([1.0])), lambda target: True)
    log.write(102, logged(np.array([3.0])), lambda target: True)

    log.write(102, logged(np.array([9.0, 2.0, 9.0])), lambda target: True)

    history = log.history()
    assert history is not None
    np.testing.assert_array_equal(history.values[0, -3:], [1.0, 2.0, 3.0])


def test_a_signal_whose_pod_is_gone_is_forgotten() -> None:
    log = SignalLog(10, 60.0)
    log.write(100, logged(np.array([1.0])), lambda target: True)

    log.write(101, SignalTable((), np.zeros((0, 1)), np.zeros(0)), lambda target: False)

    assert log.history() is None


def test_a_signal_is_watched_while_it_is_high_and_half_an_hour_longer() -> None:
    log = SignalLog(60, 60.0)
    high = SignalTarget(SignalKind.MEMORY, "shop/db", "db-0")
    near = SignalTarget(SignalKind.QUEUE, "shop/db", "db-0")  # always nearer to its limit, so always shown

    shown = []
    for minute in range(50):
        values = np.array([[60.0 if minute < 12 else 1.0], [90.0 if minute < 12 else 2.0]])
        log.write(minute, SignalTable((high, near), values, np.array([100.0, 100.0])), lambda target: True)
        history = log.history()
        assert history is not None
        shown.append(high in history.targets)

    # High in minutes 0 to 11; watched while one of the last 30 columns was.
    assert shown == [True] * 41 + [False] * 9
