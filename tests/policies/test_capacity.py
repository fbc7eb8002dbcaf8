"""Capacity per pod is learned from CPU and saturation, and forgotten when it changes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from policies.capacity import Capacity, CapacitySource, CapacityState, estimate, learn
from policies.model import PodSeen, ScalingPolicy, WorkloadPolicy, WorkloadSeen

POLICY = WorkloadPolicy("shop/web")
TICK_S = 15.0


def pod(rate_rps: float | None, cpu_cores: float | None, *, ready_at_s: float = -1000.0, name: str = "p") -> PodSeen:
    return PodSeen(name, "n", "z", -1000.0, ready_at_s=ready_at_s, rate_rps=rate_rps, cpu_cores=cpu_cores)


def workload(pods: Sequence[PodSeen], **known: object) -> WorkloadSeen:
    seen = WorkloadSeen("shop/web", len(pods), tuple(pods), cpu_limit_cores=1.0)
    return replace(seen, **known)  # type: ignore[arg-type]


def serving(rate_rps: float, *, idle_cores: float = 0.05, cores_per_rps: float = 0.02, pods: int = 2) -> list[PodSeen]:
    """Pods with slightly different rates, on a straight line of CPU over rate."""
    rates = [rate_rps * (0.9 + 0.2 * index / max(1, pods - 1)) for index in range(pods)]
    return [pod(rate, idle_cores + cores_per_rps * rate, name=f"p{index}") for index, rate in enumerate(rates)]


def after(
    looks: int, pods: Sequence[PodSeen], state: CapacityState | None = None, start_s: float = 0.0, **known: object
) -> CapacityState:
    state = CapacityState() if state is None else state
    for look in range(looks):
        state = learn(state, workload(pods, **known), POLICY, start_s + look * TICK_S)
    return state


def capacity(state: CapacityState, policy: WorkloadPolicy = POLICY) -> Capacity:
    found = estimate(state, policy)
    assert found is not None
    return found


def test_unknown_without_prior_and_without_measurements() -> None:
    assert estimate(CapacityState(), POLICY) is None


def test_unknown_without_a_cpu_limit_or_request() -> None:
    assert estimate(after(20, serving(20.0), cpu_limit_cores=None), POLICY) is None


def test_the_declared_prior_stands_until_measured() -> None:
    policy = replace(POLICY, scaling=ScalingPolicy(capacity_prior_rps=25.0))

    assert capacity(CapacityState(), policy) == Capacity(25.0, 0.0, CapacitySource.PRIOR)


def test_idle_pods_leave_the_declared_prior_as_it_is() -> None:
    """Half a request a second beside 0.02 cores of garbage collection says nothing about what a busy pod carries."""
    policy = replace(POLICY, scaling=ScalingPolicy(capacity_prior_rps=25.0))
    rng = np.random.default_rng(3)
    state = CapacityState()
    for look in range(200):
        pods = [pod(0.5 * float(rng.uniform(0.5, 2.0)), 0.02 * float(rng.uniform(0.5, 1.5))) for _ in range(2)]
        state = learn(state, workload(pods), policy, look * TICK_S)

    assert capacity(state, policy) == Capacity(25.0, 0.0, CapacitySource.PRIOR)


@pytest.mark.parametrize(
    ("cores", "rps"),
    [
        # Measured: 1.0 / 0.02 = 50, declared: 25. A tenth of the limit is half way from 5 % to 15 %.
        pytest.param(0.05, 25.0, id="idle"),
        pytest.param(0.10, 37.5, id="half-way"),
        pytest.param(0.15, 50.0, id="busy-enough"),
        pytest.param(0.60, 50.0, id="busy"),
    ],
)
def test_the_busier_pods_are_the_less_the_declared_prior_counts(cores: float, rps: float) -> None:
    policy = replace(POLICY, scaling=ScalingPolicy(capacity_prior_rps=25.0))

    learned = after(40, [pod(cores / 0.02, cores, name=f"p{index}") for index in range(2)])

    assert capacity(learned, policy).rps == pytest.approx(rps, rel=0.01)


def test_what_a_busy_hour_taught_outlasts_the_quiet_after_it() -> None:
    policy = replace(POLICY, scaling=ScalingPolicy(capacity_prior_rps=25.0))
    busy = after(240, serving(20.0, idle_cores=0.0))

    quiet = after(120, serving(1.0, idle_cores=0.0), busy, start_s=240 * TICK_S)

    assert capacity(quiet, policy).rps == pytest.approx(50.0, rel=0.02)


def test_idle_cpu_is_not_charged_to_requests_once_rates_differ() -> None:
    state = CapacityState()
    for look, rate in enumerate([5.0, 10.0, 20.0, 30.0] * 10):
        state = learn(state, workload(serving(rate)), POLICY, look * TICK_S)

    # (1.0 limit - 0.05 idle) / 0.02 per request = 47.5; idle is pulled to 0 by about 1 %.
    assert capacity(state).rps == pytest.approx(47.5, rel=0.02)
    assert capacity(state).relative_error < 0.02


def test_cpu_is_held_against_the_requests_of_its_own_window() -> None:
    """Demand quadrupled a moment ago: the minute that CPU is a mean over hardly knows of it."""
    quiet = after(10, serving(8.0))
    surged = [replace(pod, rate_rps=32.0, cpu_rate_rps=pod.rate_rps) for pod in serving(8.0)]

    assert capacity(after(3, surged, quiet, start_s=150.0)).rps == pytest.approx(capacity(quiet).rps, rel=0.02)
    misled = [replace(pod, cpu_rate_rps=None) for pod in surged]
    assert capacity(after(3, misled, quiet, start_s=150.0)).rps > 1.5 * capacity(quiet).rps


def test_where_rates_hardly_differ_idle_cpu_makes_capacity_low_never_high() -> None:
    state = after(40, serving(10.0, pods=1))

    # One rate only: 0.25 cores for 10 requests/s is charged to requests in full, 1.0 / 0.025 = 40 < 47.5.
    assert 39.0 <= capacity(state).rps <= 47.5


@pytest.mark.parametrize(
    "spared",
    [
        pytest.param(pod(20.0, 0.9, ready_at_s=-30.0), id="warming-up"),
        pytest.param(replace(pod(20.0, 0.9), ready_at_s=None), id="not-ready"),
        pytest.param(replace(pod(20.0, 0.9), traffic_on=False), id="drained"),
        pytest.param(replace(pod(20.0, 0.9), deleting=True), id="leaving"),
        pytest.param(pod(0.1, 0.9), id="idle"),
        pytest.param(pod(None, 0.9), id="rate-unknown"),
        pytest.param(pod(20.0, None), id="cpu-unknown"),
    ],
)
def test_pods_that_are_not_simply_serving_teach_nothing(spared: PodSeen) -> None:
    state = learn(CapacityState(), workload([spared]), POLICY, 0.0)

    assert state.moments.weight == 0.0


def test_a_rollout_teaches_nothing() -> None:
    assert after(5, serving(20.0), rollout_in_progress=True).moments.weight == 0.0


def test_one_pod_that_burns_cpu_does_not_spoil_what_its_peers_teach() -> None:
    burning = [*serving(20.0, pods=3), pod(20.0, 1.0, name="burning")]

    assert capacity(after(20, burning)).rps == pytest.approx(capacity(after(20, serving(20.0, pods=3))).rps, rel=0.01)


def test_a_change_of_cpu_per_request_is_found_within_two_minutes_and_the_past_forgotten() -> None:
    before = after(80, serving(20.0, idle_cores=0.0))
    changed = after(8, serving(20.0, idle_cores=0.0, cores_per_rps=0.03), before, start_s=80 * TICK_S)

    assert changed.drifts == 1
    # 1.0 / 0.03 = 33.3 against 50 before; the old figures still count for one observation.
    assert capacity(changed).rps == pytest.approx(33.3, rel=0.06)


def test_noise_is_no_drift() -> None:
    rng = np.random.default_rng(7)
    state = CapacityState()
    for look in range(2000):
        noise = float(np.exp(0.08 * rng.standard_normal()))
        state = learn(state, workload(serving(20.0, cores_per_rps=0.02 * noise)), POLICY, look * TICK_S)

    assert state.drifts == 0


def test_new_resources_or_a_new_image_reset_what_was_learned() -> None:
    state = learn(after(40, serving(20.0)), workload(serving(20.0), spec_generation=1), POLICY, 600.0)

    assert state.moments.weight == 2.0


def test_uncertainty_shrinks_with_evidence_and_lowers_the_capacity_planned_with() -> None:
    early, late = capacity(after(1, serving(20.0))), capacity(after(40, serving(20.0)))

    assert early.relative_error > late.relative_error
    assert early.safe_rps < early.rps


def test_pods_that_saturate_below_their_cpu_teach_a_knee() -> None:
    calm = after(40, serving(20.0, idle_cores=0.0))  # 50 requests/s by CPU
    stuck = [replace(one, rate_rps=40.0, error_ratio=0.25, cpu_cores=0.6) for one in serving(20.0)]

    one_look = after(1, stuck, calm, start_s=600.0, saturated=True)
    two_looks = after(2, stuck, calm, start_s=600.0, saturated=True)

    assert capacity(one_look).source is CapacitySource.CPU
    # 40 × (1 - 0.25) = 30 were carried, below 85 % of the CPU capacity.
    assert capacity(two_looks).source is CapacitySource.KNEE
    assert capacity(two_looks).rps == pytest.approx(30.0)


def test_a_stalled_dependency_cannot_shrink_capacity_below_two_fifths() -> None:
    calm = after(40, serving(20.0, idle_cores=0.0))
    stalled = [replace(one, rate_rps=20.0, error_ratio=0.95, cpu_cores=0.4) for one in serving(20.0)]

    state = after(20, stalled, calm, start_s=600.0, saturated=True)

    assert capacity(state).rps >= 0.4 * 49.0


def test_a_knee_is_raised_at_once_by_pods_that_carry_more() -> None:
    calm = after(40, serving(20.0, idle_cores=0.0))
    stuck = [replace(one, rate_rps=30.0, cpu_cores=0.6) for one in serving(20.0)]
    kneed = after(3, stuck, calm, start_s=600.0, saturated=True)

    healed = after(1, serving(40.0, idle_cores=0.0), kneed, start_s=660.0)

    assert capacity(kneed).rps == pytest.approx(30.0)
    assert capacity(healed).rps >= 40.0


def test_a_knee_that_is_not_seen_again_fades() -> None:
    calm = after(40, serving(20.0, idle_cores=0.0))
    stuck = [replace(one, rate_rps=30.0, cpu_cores=0.6) for one in serving(20.0)]
    kneed = after(3, stuck, calm, start_s=600.0, saturated=True)

    four_hours_later = after(960, serving(20.0, idle_cores=0.0), kneed, start_s=660.0)

    assert capacity(four_hours_later).source is CapacitySource.CPU
