"""What one metric asks for, worked out by hand. All pods are seen at t = 0."""

from __future__ import annotations

import pytest

from simulation.hpa.calculator import group_pods, propose
from simulation.hpa.values import (
    MAX_INT32,
    MAX_INT64,
    AverageValue,
    ControllerSettings,
    ExternalMetric,
    MetricError,
    MetricSpec,
    MetricStatus,
    ObjectMetric,
    PodPhase,
    PodReadings,
    PodSample,
    PodsMetric,
    PodStatus,
    Readiness,
    Reading,
    Requests,
    ResourceMetric,
    Seen,
    SeriesReadings,
    Tolerance,
    UnknownMetric,
    Utilization,
    Value,
)

LONG_AGO_S = -1e6
SETTINGS = ControllerSettings()
TEN_PERCENT = Tolerance(0.1, 0.1)


def pod(
    name: str,
    request_m: int | None = 1000,
    *,
    phase: PodPhase = PodPhase.RUNNING,
    ready: Readiness | None = Readiness.TRUE,
    started_at_s: float | None = LONG_AGO_S,
    ready_changed_at_s: float | None = LONG_AGO_S,
    deleting: bool = False,
) -> PodStatus:
    requests = Requests({"app": {} if request_m is None else {"cpu": request_m}})
    return PodStatus(name, phase, ready, started_at_s, ready_changed_at_s, deleting, requests)


def never_ready(name: str, request_m: int = 1000) -> PodStatus:
    return pod(name, request_m, ready=Readiness.FALSE)


def usage(*usage_m: int | None) -> PodReadings:
    """Sample i belongs to pod p<i>; None: the pod has none."""
    return PodReadings({f"p{i}": PodSample(one, 0.0, 15.0) for i, one in enumerate(usage_m) if one is not None})


def ask(
    metric: MetricSpec,
    reading: Reading,
    pods: list[PodStatus],
    *,
    spec: int | None = None,
    status: int | None = None,
    tolerance: Tolerance = TEN_PERCENT,
) -> MetricStatus:
    current = len(pods) if spec is None else spec
    seen = Seen(current, len(pods) if status is None else status, pods, (reading,))
    return propose(metric, reading, seen, tolerance, SETTINGS, now_s=0.0)


def cpu(target_pct: int) -> ResourceMetric:
    return ResourceMetric(Utilization(target_pct))


@pytest.mark.parametrize(
    ("target_pct", "pods", "usage_m", "expected"),
    [
        # 2400/3000 = 80 %, 80/50 = 1.6, ceil(1.6 · 3) = 5
        pytest.param(50, [pod("p0"), pod("p1"), pod("p2")], (800, 700, 900), (5, 80, 800), id="scale-up"),
        # 600/3000 = 20 %, 20/50 = 0.4, ceil(1.2) = 2
        pytest.param(50, [pod("p0"), pod("p1"), pod("p2")], (200, 100, 300), (2, 20, 200), id="scale-down"),
        # 1006/3000 = 33.5 % truncated to 33; 33/30 = 1.1 is inside 10 %, 33.5/30 would not be
        pytest.param(30, [pod("p0"), pod("p1"), pod("p2")], (335, 335, 336), (3, 33, 335), id="truncation-holds"),
        # 34/30 = 1.133: outside, ceil(3.4) = 4
        pytest.param(30, [pod("p0"), pod("p1"), pod("p2")], (340, 340, 340), (4, 34, 340), id="just-outside"),
        # the deleted and the failed pod do not count: 1.6 · 2 ready = 3.2 → 4, though 4 are wanted by the spec
        pytest.param(
            50,
            [pod("p0"), pod("p1"), pod("p2", deleting=True), pod("p3", phase=PodPhase.FAILED)],
            (800, 800, 10, 10),
            (4, 80, 800),
            id="ready-count-is-multiplied",
        ),
        # r = 100/50 = 2 over p0; p1 (big request) filled with 0: 1000/4000 = 25 %, r' = 0.5: direction turned → 2
        pytest.param(50, [pod("p0"), never_ready("p1", 3000)], (1000, 900), (2, 100, 1000), id="unready-turns-it"),
        # r = 100/50 = 2 over p0, p1; p2 filled with 0: 2000/4000 = 50 %, r' = 1: stays; unfilled it would be 4
        pytest.param(
            50, [pod("p0"), pod("p1"), never_ready("p2", 2000)], (1000, 1000, 1), (3, 100, 1000), id="unready-is-idle"
        ),
        # r = 400/50 = 8 over p0; p1 missing, requests 3000: 4000/4000 = 100 %, r' = 2, ceil(2 · 2) = 4
        pytest.param(50, [pod("p0"), pod("p1", 3000)], (4000, None), (4, 400, 4000), id="missing-is-idle-going-up"),
        # r = 10/50 = 0.2 over p0..p2; p3 missing at its whole request 1000: 1300/4000 = 32 %, r' = 0.64, ceil(2.56) = 3
        pytest.param(
            50,
            [pod("p0"), pod("p1"), pod("p2"), pod("p3")],
            (100, 100, 100, None),
            (3, 10, 100),
            id="missing-is-full-going-down",
        ),
        # target 200: missing counts 2 · 1000: r = 20/200, (400 + 2000)/3000 = 80 %, r' = 0.4, ceil(1.2) = 2
        pytest.param(200, [pod("p0"), pod("p1"), pod("p2")], (200, 200, None), (2, 20, 200), id="target-above-100"),
        # r exactly 1 with a missing pod: nothing is filled in, stays
        pytest.param(50, [pod("p0"), pod("p1")], (500, None), (2, 50, 500), id="on-target-with-missing"),
        # r = 0.2, unready pods matter only going up: ceil(0.2 · 1) = 1
        pytest.param(50, [pod("p0"), never_ready("p1")], (100, 900), (1, 10, 100), id="unready-left-out-going-down"),
        # pods gone from the cluster but still in the metrics: no request, not in the sums. 1.2 · 1 = 2
        pytest.param(50, [pod("p0")], (600, 9000), (2, 60, 600), id="sample-of-a-gone-pod"),
        pytest.param(50, [pod("p0"), pod("p1")], (0, 0), (0, 0, 0), id="idle-asks-for-none"),
    ],
)  # fmt: skip
def test_utilization_proposals(
    target_pct: int, pods: list[PodStatus], usage_m: tuple[int | None, ...], expected: tuple[int, int, int]
) -> None:
    status = ask(cpu(target_pct), usage(*usage_m), pods)

    assert (status.proposal, status.utilization_pct, status.average_m) == expected


def test_a_surge_of_pods_does_not_turn_a_scale_down_into_a_scale_up() -> None:
    # Spec 2, three pods (rolling update), one missing: r = 0.2; (100 + 100 + 1000)/3000 = 40 %, r' = 0.8,
    # ceil(0.8 · 3) = 3 > 2 although r' < 1: stays.
    status = ask(cpu(50), usage(100, 100, None), [pod("p0"), pod("p1"), pod("p2")], spec=2)

    assert status.proposal == 2


@pytest.mark.parametrize(
    ("metric", "reading", "pods", "error"),
    [
        pytest.param(cpu(50), None, [pod("p0")], MetricError.API_FAILED, id="api-down"),
        pytest.param(cpu(50), usage(), [pod("p0")], MetricError.NO_METRICS, id="no-samples"),
        pytest.param(cpu(50), usage(10), [], MetricError.NO_PODS, id="no-pods"),
        pytest.param(cpu(50), usage(10), [never_ready("p0")], MetricError.NO_READY_METRICS, id="blind"),
        pytest.param(cpu(50), usage(10), [pod("p1")], MetricError.NO_MATCHING_METRICS, id="strangers"),
        pytest.param(cpu(50), usage(10, 10), [pod("p0"), pod("p1", None)], MetricError.MISSING_REQUEST, id="request"),
        pytest.param(
            ResourceMetric(Utilization(50), container="sidecar"),
            usage(10),
            [pod("p0")],
            MetricError.MISSING_CONTAINER,
            id="container",
        ),
        pytest.param(UnknownMetric("Cheese"), usage(10), [pod("p0")], MetricError.INVALID_SOURCE, id="unknown-source"),
        pytest.param(
            ExternalMetric("queue", Value(1000)), SeriesReadings(()), [pod("p0")], MetricError.NO_METRICS, id="series"
        ),
        pytest.param(
            ObjectMetric("rps", Value(1000)), SeriesReadings((9000,)), [], MetricError.NO_PODS, id="object-no-pods"
        ),
    ],
)  # fmt: skip
def test_a_metric_that_cannot_be_computed_says_why(
    metric: MetricSpec, reading: Reading, pods: list[PodStatus], error: MetricError
) -> None:
    assert ask(metric, reading, pods, spec=1) == MetricStatus(error=error)


def test_a_failed_pod_without_request_still_fails_the_metric() -> None:
    pods = [pod("p0"), pod("p1", None, phase=PodPhase.FAILED)]

    assert ask(cpu(50), usage(900), pods).error is MetricError.MISSING_REQUEST


def test_a_container_metric_counts_that_container_on_both_sides() -> None:
    two = Requests({"app": {"cpu": 1000}, "proxy": {"cpu": 200}})
    pods = [PodStatus(f"p{i}", PodPhase.RUNNING, Readiness.TRUE, LONG_AGO_S, LONG_AGO_S, False, two) for i in (0, 1)]

    # 150 + 170 of 400 = 80 %, 80/50 = 1.6, ceil(3.2) = 4; of 2400 it would be 13 %
    status = ask(ResourceMetric(Utilization(50), container="proxy"), usage(150, 170), pods)

    assert (status.proposal, status.utilization_pct) == (4, 80)


@pytest.mark.parametrize(
    ("levels_m", "expected"),
    [
        # (20 + 10 + 30)/3 = 20, 20/15 = 1.33, ceil(4.0) = 4 exactly
        pytest.param((20_000, 10_000, 30_000), (4, 20_000), id="scale-up"),
        # one missing, r = 5/15 < 1: it is given the target; (5 + 5 + 15)/3 = 8.333, r' = 0.5555, ceil(1.67) = 2
        pytest.param((5_000, 5_000, None), (2, 5_000), id="missing-at-target"),
        # r = 30/15 = 2, missing at 0: 60/3 = 20, r' = 1.333, ceil(4) = 4
        pytest.param((30_000, 30_000, None), (4, 30_000), id="missing-at-zero"),
        # -5/3 truncated towards zero is -1, not -2; r < 0: ceil(-0.0002) = 0
        pytest.param((-2, -2, -1), (0, -1), id="negative-truncates-towards-zero"),
    ],
)
def test_pods_metric_proposals(levels_m: tuple[int | None, ...], expected: tuple[int, int]) -> None:
    status = ask(PodsMetric("rps", AverageValue(15_000)), usage(*levels_m), [pod("p0"), pod("p1"), pod("p2")])

    assert (status.proposal, status.average_m) == expected


def test_readiness_does_not_matter_to_custom_metrics() -> None:
    pods = [pod("p0"), never_ready("p1")]

    # (20 + 40)/2 = 30, 30/15 = 2, 2 · 2 = 4; without p1 it would be ceil(1.33) = 2
    assert ask(PodsMetric("rps", AverageValue(15_000)), usage(20_000, 40_000), pods).proposal == 4


def test_a_raw_cpu_target_obeys_readiness_and_needs_no_request() -> None:
    pods = [pod("p0", None), pod("p1", None, ready=Readiness.FALSE)]

    # p1 never ready: r = 900/300 = 3 over p0; p1 at 0: 450/300 = 1.5, ceil(1.5 · 2) = 3
    status = ask(ResourceMetric(AverageValue(300)), usage(900, 5000), pods)

    assert (status.proposal, status.utilization_pct, status.average_m) == (3, None, 900)


@pytest.mark.parametrize(
    ("metric", "levels_m", "spec", "expected"),
    [
        # 50/10 = 5 times the one ready pod
        pytest.param(ObjectMetric("rps", Value(10_000)), (50_000,), 3, (5, 50_000), id="object-ready-pods-count"),
        # series are summed: 5 + 3.8 = 8.8 of 4.4 = 2 · 1 ready
        pytest.param(ExternalMetric("q", Value(4_400)), (5_000, 3_800), 3, (2, 8_800), id="external-sums-series"),
        pytest.param(ExternalMetric("q", Value(8_000)), (8_700,), 3, (3, 8_700), id="inside-the-band-keeps-the-spec"),
        # from zero there is no band: 1.05 → 2
        pytest.param(ObjectMetric("rps", Value(10_000)), (10_500,), 0, (2, 10_500), id="from-zero"),
        pytest.param(ObjectMetric("rps", Value(10_000)), (0,), 0, (0, 0), id="stays-at-zero"),
        pytest.param(
            ObjectMetric("rps", Value(1)), (MAX_INT64,), 3, (MAX_INT32, MAX_INT64), id="replicas-are-capped"
        ),
        pytest.param(
            ExternalMetric("q", Value(1)), (MAX_INT64, 5), 3, (MAX_INT32, MAX_INT64), id="the-sum-is-capped"
        ),
    ],
)  # fmt: skip
def test_value_targets_multiply_the_ready_pods(
    metric: MetricSpec, levels_m: tuple[int, ...], spec: int, expected: tuple[int, int]
) -> None:
    pods = [pod("p0"), never_ready("p1"), pod("p2", phase=PodPhase.PENDING)]

    status = ask(metric, SeriesReadings(levels_m), pods, spec=spec)

    assert (status.proposal, status.value_m) == expected


def test_a_value_target_with_no_ready_pod_asks_for_nothing() -> None:
    # 5 · 0 ready: upstream's trap, see kubernetes/kubernetes#130130
    status = ask(ObjectMetric("rps", Value(10_000)), SeriesReadings((50_000,)), [never_ready("p0")])

    assert status.proposal == 0


@pytest.mark.parametrize(
    ("total_m", "status_replicas", "expected"),
    [
        # 20/(5 · 3) = 1.33; ceil(20/5) = 4; 20/3 = 6.6667 rounded up
        pytest.param(20_000, 3, (4, 6_667), id="scale-up"),
        pytest.param(20_166, 4, (4, 5_042), id="inside-the-band"),
        pytest.param(0, 3, (0, 0), id="nothing"),
        # no pod to divide by: upstream scales by the total alone
        pytest.param(12_000, 0, (3, None), id="from-zero"),
    ],
)
def test_average_targets_of_a_total_ignore_the_pods(
    total_m: int, status_replicas: int, expected: tuple[int, int | None]
) -> None:
    for metric in (ObjectMetric("rps", AverageValue(5_000)), ExternalMetric("rps", AverageValue(5_000))):
        status = ask(metric, SeriesReadings((total_m,)), [], spec=7, status=status_replicas)

        assert (status.proposal, status.average_m) == expected


def test_tolerance_has_two_directions() -> None:
    pods = [pod("p0"), pod("p1")]

    assert ask(cpu(50), usage(600, 600), pods, tolerance=Tolerance(0.0, 0.2)).proposal == 2
    assert ask(cpu(50), usage(600, 600), pods, tolerance=Tolerance(0.5, 0.1)).proposal == 3  # ceil(1.2 · 2)
    assert ask(cpu(50), usage(250, 250), pods, tolerance=Tolerance(0.5, 0.0)).proposal == 2
    assert ask(cpu(50), usage(250, 250), pods, tolerance=Tolerance(0.4, 0.5)).proposal == 1


MEASURED_15_S_AGO = PodSample(100, -15.0, 30.0)


@pytest.mark.parametrize(
    ("started_at_s", "ready", "ready_changed_at_s", "counts"),
    [
        # Younger than 300 s: ready for a whole window before the sample ended, i.e. since -45 s or longer.
        pytest.param(-200.0, Readiness.TRUE, -45.0, True, id="young-ready-one-window"),
        pytest.param(-200.0, Readiness.TRUE, -44.9, False, id="young-ready-too-recently"),
        pytest.param(-200.0, Readiness.FALSE, -150.0, False, id="young-unready"),
        pytest.param(-200.0, Readiness.UNKNOWN, -150.0, True, id="young-unknown-is-not-false"),
        # Older: counts even when unready, unless the unreadiness dates from its first 30 s.
        pytest.param(-300.0, Readiness.TRUE, -1.0, True, id="old-ready"),
        pytest.param(-400.0, Readiness.FALSE, -370.0, True, id="old-failed-after-30-s"),
        pytest.param(-400.0, Readiness.FALSE, -370.1, False, id="old-never-ready"),
        pytest.param(None, Readiness.TRUE, -1.0, False, id="no-start-time"),
        pytest.param(-400.0, None, None, False, id="no-ready-condition"),
        pytest.param(-200.0, Readiness.TRUE, None, True, id="no-transition-time-is-long-ago"),
    ],
)
def test_which_cpu_samples_are_trusted(
    started_at_s: float | None, ready: Readiness | None, ready_changed_at_s: float | None, counts: bool
) -> None:
    one = pod("p0", started_at_s=started_at_s, ready=ready, ready_changed_at_s=ready_changed_at_s)

    cpu_groups = group_pods([one], {"p0": MEASURED_15_S_AGO}, is_cpu=True, settings=SETTINGS, now_s=0.0)
    memory_groups = group_pods([one], {"p0": MEASURED_15_S_AGO}, is_cpu=False, settings=SETTINGS, now_s=0.0)

    assert (cpu_groups.ready_count, cpu_groups.unready) == ((1, []) if counts else (0, ["p0"]))
    assert memory_groups.ready_count == 1


def test_pending_pods_are_unready_before_they_are_missing_and_dead_ones_are_ignored() -> None:
    pods = [
        pod("pending", phase=PodPhase.PENDING),
        pod("silent"),
        pod("failed", phase=PodPhase.FAILED),
        pod("leaving", deleting=True, phase=PodPhase.PENDING),
    ]

    groups = group_pods(pods, {}, is_cpu=True, settings=SETTINGS, now_s=0.0)

    assert groups == (0, ["pending"], ["silent"], ["failed", "leaving"])
