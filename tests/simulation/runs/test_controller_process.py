"""The operator's process: crashes, checkpoints, leases and orderly restarts, with a loop that only counts."""

from __future__ import annotations

from typing import Any

from policies.decision import Decision
from policies.model import Mode
from simulation.controllers.controller_process import CHECKPOINT_PERIOD_S, ControllerProcess


class CountingLoop:
    """Its whole memory is how often it has ticked."""

    def __init__(self) -> None:
        self.ticks = 0

    def tick(self, now_s: float) -> tuple[Decision, ...]:
        self.ticks += 1
        return (Decision(f"d-{self.ticks}", now_s, "web", Mode.ENFORCE, (), ()),)

    def fast_tick(self, now_s: float) -> tuple[Decision, ...]:
        return ()

    def checkpoint(self) -> Any:
        return self.ticks

    def restore(self, checkpoint: Any) -> None:
        self.ticks = checkpoint


def process(*, keeps_checkpoints: bool = True) -> ControllerProcess:
    return ControllerProcess(CountingLoop, keeps_checkpoints=keeps_checkpoints)  # type: ignore[arg-type]


def ids(decisions: tuple[Decision, ...]) -> list[str]:
    return [decision.id for decision in decisions]


def test_a_crash_loses_what_came_after_the_last_checkpoint() -> None:
    operator = process()
    operator.tick(0.0)  # checkpointed: the first tick is
    operator.tick(15.0)
    operator.tick(30.0)

    operator.live(31.0, alive=False)
    assert operator.tick(45.0) == ()
    operator.live(60.0, alive=True)

    assert ids(operator.tick(60.0)) == ["d-2"]


def test_checkpoints_are_written_every_five_minutes_and_when_asked() -> None:
    operator = process()
    operator.tick(0.0)
    operator.tick(CHECKPOINT_PERIOD_S - 15.0)
    operator.tick(CHECKPOINT_PERIOD_S)  # third tick, checkpointed
    operator.tick(CHECKPOINT_PERIOD_S + 15.0)
    operator.live(400.0, alive=False)
    operator.live(450.0, alive=True)
    assert ids(operator.tick(450.0)) == ["d-4"]

    operator.write_checkpoint(451.0)
    operator.live(452.0, alive=False)
    operator.live(500.0, alive=True)

    assert ids(operator.tick(500.0)) == ["d-5"]


def test_a_quick_restart_waits_for_the_dead_leaders_lease() -> None:
    operator = process()
    operator.tick(0.0)
    operator.live(10.0, alive=False)

    operator.live(12.0, alive=True)
    assert operator.tick(15.0) == ()
    operator.live(24.9, alive=True)
    assert operator.tick(24.9) == ()
    operator.live(25.0, alive=True)

    assert operator.tick(25.0) != ()


def test_an_orderly_restart_loses_nothing() -> None:
    operator = process(keeps_checkpoints=False)
    operator.tick(0.0)
    operator.tick(15.0)
    before = operator.loop

    operator.restart()

    assert operator.loop is not before
    assert ids(operator.tick(30.0)) == ["d-3"]


def test_without_checkpoints_a_crash_starts_from_nothing() -> None:
    operator = process(keeps_checkpoints=False)
    operator.tick(0.0)
    operator.tick(15.0)
    operator.live(20.0, alive=False)
    operator.live(60.0, alive=True)

    assert ids(operator.tick(60.0)) == ["d-1"]
