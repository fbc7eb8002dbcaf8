"""Lead time is learned from pods that arrive, once each."""

import pytest

from policies.lead_time import LONGEST_START_S, LeadTimeState, learn, planned_s
from policies.model import PodSeen


def pod(name: str, created_at_s: float = 0.0, ready_at_s: float | None = None, restarts: int = 0) -> PodSeen:
    return PodSeen(name, "node", "zone", created_at_s, ready_at_s=ready_at_s, restarts=restarts)


def test_the_prior_stands_until_pods_were_seen() -> None:
    assert planned_s(LeadTimeState(), prior_s=60.0) == 60.0


def test_a_pod_counts_once_at_its_first_ready() -> None:
    state = learn(LeadTimeState(), [pod("a")])
    state = learn(state, [pod("a", ready_at_s=40.0)])
    state = learn(state, [pod("a", ready_at_s=400.0)])  # lost readiness and came back

    assert state.samples_s == (40.0,)


def test_pods_that_were_ready_before_the_first_look_say_nothing() -> None:
    state = learn(LeadTimeState(), [pod("old", ready_at_s=420.0)])  # lost readiness at 400 s, say
    state = learn(state, [pod("old", ready_at_s=420.0), pod("new", created_at_s=500.0, ready_at_s=530.0)])

    assert state.samples_s == (30.0,)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(pod("a", ready_at_s=40.0, restarts=1), id="restarted-container"),
        pytest.param(pod("a", ready_at_s=LONGEST_START_S + 1.0), id="flapped-long-ago"),
        pytest.param(pod("a", created_at_s=50.0, ready_at_s=40.0), id="clock-skew"),
    ],
)
def test_pods_that_say_nothing_about_starting_are_not_counted(seen: PodSeen) -> None:
    assert learn(LeadTimeState(looked=True), [seen]).samples_s == ()


def test_nine_in_ten_pods_are_in_time() -> None:
    state = LeadTimeState(samples_s=tuple(float(second) for second in range(10, 30)))  # 10 … 29, 20 samples

    # The 18th of 20 sorted samples (0.9 × 20) is 27; the prior is out, since more than four pods were seen.
    assert planned_s(state, prior_s=300.0) == 27.0


def test_pods_that_wait_longer_now_count_at_once_but_stuck_ones_never() -> None:
    state = LeadTimeState(samples_s=(30.0,) * 8)

    assert planned_s(state, 60.0, [pod("slow", created_at_s=0.0)], now_s=90.0) == 90.0
    assert planned_s(state, 60.0, [pod("stuck", created_at_s=0.0)], now_s=LONGEST_START_S + 1.0) == 30.0


def test_names_of_gone_pods_are_forgotten() -> None:
    state = learn(LeadTimeState(), [pod("a", ready_at_s=40.0), pod("b", ready_at_s=50.0)])

    assert learn(state, [pod("b", ready_at_s=50.0)]).counted == ("b",)


def test_a_look_without_news_changes_nothing() -> None:
    state = learn(LeadTimeState(), [pod("a", ready_at_s=40.0)])

    assert learn(state, [pod("a", ready_at_s=40.0)]) is state
