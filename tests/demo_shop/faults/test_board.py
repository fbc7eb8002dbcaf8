from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from demo_shop.faults.board import FaultBoard, MagnitudeTooGreat, UnknownFault
from demo_shop.faults.catalogue import catalogue_of
from demo_shop.faults.fault import FaultRequest
from demo_shop.settings import Role

START_S = 1_000.0


def board_of(role: Role = Role.CATALOG, registry: CollectorRegistry | None = None, **more: int) -> FaultBoard:
    return FaultBoard(catalogue_of(role), lambda: START_S, registry, **more)


def test_nothing_happens_while_no_fault_runs() -> None:
    board = board_of()

    assert not board.any_active
    assert board.delay_s(START_S) == 0.0
    assert not board.error_now(START_S)
    assert board.level("memory_leak", START_S) == 0.0
    assert not board.share_hit("error_burst", START_S)


def test_a_fault_climbs_along_its_ramp_and_ends_by_itself() -> None:
    board = board_of()
    board.start("latency_creep", FaultRequest(magnitude=2.0, ramp_s=100, duration_s=300), START_S)

    levels = [board.level("latency_creep", START_S + t) for t in (0, 25, 100, 299, 300)]
    magnitudes = [board.magnitude("latency_creep", START_S + t) for t in (0, 25, 100, 299, 300)]

    assert levels == [0.0, 0.25, 1.0, 1.0, 0.0]
    assert magnitudes == [0.0, 0.5, 2.0, 2.0, 0.0]


def test_slow_dependency_and_latency_creep_add_up() -> None:
    board = board_of()
    board.start("slow_dependency", FaultRequest(magnitude=0.5, duration_s=60), START_S)
    board.start("latency_creep", FaultRequest(magnitude=2.0, ramp_s=40, duration_s=60), START_S)

    assert board.delay_s(START_S + 10) == 0.5 + 2.0 * 10 / 40


def test_the_default_magnitude_is_the_faults_own() -> None:
    state = board_of().start("memory_leak", FaultRequest(duration_s=60), START_S)

    assert state.magnitude == 20.0


def test_once_the_last_fault_is_over_asking_is_cheap_again() -> None:
    board = board_of()
    board.start("slow_dependency", FaultRequest(duration_s=60), START_S)
    assert board.any_active

    assert board.delay_s(START_S + 60) == 0.0

    assert not board.any_active


def test_the_state_says_when_and_why_a_fault_ended() -> None:
    board = board_of()
    board.start("cpu_burn", FaultRequest(duration_s=60), START_S)
    board.start("error_burst", FaultRequest(duration_s=60), START_S)
    stopped = board.stop("error_burst", START_S + 20)
    over = board.state("cpu_burn", START_S + 90)

    assert (stopped.active, stopped.stopped_at, stopped.ended_because) == (False, START_S + 20, "asked")
    assert (over.active, over.stopped_at, over.ended_because) == (False, START_S + 60, "duration")  # not when we looked


def test_the_same_request_again_changes_nothing() -> None:
    board = board_of()
    first = board.start("cpu_burn", FaultRequest(magnitude=1.0, ramp_s=10, duration_s=60, seed=3), START_S)

    again = board.start("cpu_burn", FaultRequest(magnitude=1.0, ramp_s=10, duration_s=60, seed=3), START_S + 5)

    assert first.started_at == again.started_at == START_S
    assert again.level == 0.5


def test_the_same_draws_go_on_when_the_same_request_comes_again() -> None:
    request = FaultRequest(magnitude=0.5, duration_s=60, seed=1)
    undisturbed, asked_twice = board_of(), board_of()
    undisturbed.start("error_burst", request, START_S)
    asked_twice.start("error_burst", request, START_S)

    expected = [undisturbed.error_now(START_S + 1) for _ in range(40)]
    first_half = [asked_twice.error_now(START_S + 1) for _ in range(20)]
    asked_twice.start("error_burst", request, START_S + 1)

    assert first_half + [asked_twice.error_now(START_S + 1) for _ in range(20)] == expected


def test_another_request_replaces_the_fault() -> None:
    board = board_of()
    board.start("cpu_burn", FaultRequest(magnitude=1.0, duration_s=60), START_S)

    replaced = board.start("cpu_burn", FaultRequest(magnitude=2.0, duration_s=60), START_S + 5)

    assert (replaced.magnitude, replaced.started_at, replaced.ends_at) == (2.0, START_S + 5, START_S + 65)


def test_stopping_what_does_not_run_leaves_its_end_as_it_was() -> None:
    board = board_of()
    board.start("cpu_burn", FaultRequest(duration_s=60), START_S)
    board.stop("cpu_burn", START_S + 10)

    again = board.stop("cpu_burn", START_S + 30)

    assert again.stopped_at == START_S + 10
    assert board.stop("memory_leak", START_S + 30).started_at is None


def test_all_faults_stop_at_once() -> None:
    board = board_of()
    board.start("cpu_burn", FaultRequest(duration_s=60), START_S)
    board.start("memory_leak", FaultRequest(duration_s=60), START_S)

    states = board.stop_all(START_S + 1)

    assert not any(state.active for state in states)
    assert {s.name for s in states if s.stopped_at == START_S + 1} == {"cpu_burn", "memory_leak"}


def hits(board: FaultBoard, seed: int) -> list[bool]:
    board.start("error_burst", FaultRequest(magnitude=0.3, duration_s=60, seed=seed), START_S)
    return [board.error_now(START_S + 1) for _ in range(1_000)]


def test_a_share_hits_that_share() -> None:
    # 1,000 draws at 0.3: 300, standard deviation 14.5.
    assert 250 < sum(hits(board_of(), seed=7)) < 350


def test_the_seed_decides_who_is_hit() -> None:
    assert hits(board_of(), seed=7) == hits(board_of(), seed=7)
    assert hits(board_of(), seed=7) != hits(board_of(), seed=8)
    assert hits(board_of(seed=1), seed=7) != hits(board_of(seed=2), seed=7)  # another pod, the same request


def test_draws_of_one_fault_do_not_disturb_another() -> None:
    alone, together = board_of(Role.PAYMENT), board_of(Role.PAYMENT)
    for board in (alone, together):
        board.start("error_burst", FaultRequest(magnitude=0.5, duration_s=60), START_S)
    together.start("payment_timeouts", FaultRequest(magnitude=0.5, duration_s=60), START_S)

    def draw(board: FaultBoard) -> bool:
        board.share_hit("payment_timeouts", START_S)
        return board.error_now(START_S)

    assert [draw(alone) for _ in range(50)] == [draw(together) for _ in range(50)]


def test_a_fault_of_another_role_is_unknown_and_the_answer_names_those_there_are() -> None:
    with pytest.raises(UnknownFault, match=r"no fault 'payment_timeouts' here; there are error_burst, .*cache_loss"):
        board_of(Role.CATALOG).start("payment_timeouts", FaultRequest(duration_s=60), START_S)


def test_too_much_is_refused_with_the_limit() -> None:
    board = board_of()

    with pytest.raises(
        MagnitudeTooGreat, match=r"1\.5 is too much for error_burst: at most 1 \(share of answers that are errors\)"
    ):
        board.start("error_burst", FaultRequest(magnitude=1.5, duration_s=60), START_S)

    assert not board.any_active


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({}, "duration_s", id="no-end"),
        pytest.param({"duration_s": 0}, "duration_s", id="no-duration"),
        pytest.param({"duration_s": 3_601}, "duration_s", id="too-long"),
        pytest.param({"duration_s": "60"}, "duration_s", id="text"),
        pytest.param({"duration_s": 60, "magnitude": -1}, "magnitude", id="negative"),
        pytest.param({"duration_s": 60, "magnitude": float("nan")}, "magnitude", id="nan"),
        pytest.param({"duration_s": 60, "ramp_s": 61}, "ramp_s", id="ramp-outlasts-it"),
        pytest.param({"duration_s": 60, "speed": 1}, "speed", id="unknown-field"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_by_field(body: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        FaultRequest.model_validate(body)


def test_metrics_follow_the_fault_without_anybody_asking_the_board() -> None:
    registry, now = CollectorRegistry(), [START_S]
    board = FaultBoard(catalogue_of(Role.CART), lambda: now[0], registry)
    sample: Callable[[str], float | None] = lambda name: registry.get_sample_value(name, {"fault": "memory_leak"})  # noqa: E731
    assert sample("shop_fault_active") == 0.0
    assert sample("shop_fault_start_time_seconds") is None  # never ran: not known, not zero

    board.start("memory_leak", FaultRequest(ramp_s=20, duration_s=60), START_S)
    now[0] = START_S + 5
    assert (sample("shop_fault_active"), sample("shop_fault_level")) == (1.0, 0.25)
    assert sample("shop_fault_start_time_seconds") == START_S
    assert sample("shop_fault_stop_time_seconds") is None

    now[0] = START_S + 100
    assert (sample("shop_fault_active"), sample("shop_fault_level")) == (0.0, 0.0)
    assert sample("shop_fault_stop_time_seconds") == START_S + 60


def test_what_grows_by_the_minute_grows_slower_along_the_ramp() -> None:
    board = board_of()
    board.start("memory_leak", FaultRequest(magnitude=60.0, ramp_s=10, duration_s=100), START_S)
    (fault,) = board.active(START_S)

    # 1 MiB/s at full level; half of that on average along 10 s of ramp: 5 MiB, then 1 MiB every second, 95 at the end.
    assert [fault.grown(START_S + t) for t in (0, 5, 10, 20, 100, 500)] == [0.0, 1.25, 5.0, 15.0, 95.0, 95.0]
