"""The loop's thread without a thread: ticks in phase, nothing piled up, nothing that ends it."""

from __future__ import annotations

import logging
import weakref
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from small_world import START_S, WEB, SmallShop, make_loop, policies

from foresail.checkpoint import CheckpointUnavailable, Restored
from foresail.lead import Lead, Periods
from foresail.runner import Clocks, Grid, Runner
from foresail.tick_report import TakeOver, TickReport
from policies.decision import ReasonCode, SetFloor
from policies.model import Observation, PolicySet


@dataclass
class Shelf:
    """Checkpoints in memory."""

    stored: Any = None
    stored_at_s: float | None = None
    problem: str | None = None
    away: bool = False
    full: bool = False
    writes: list[float] = field(default_factory=list)

    def read(self) -> Restored:
        if self.away:
            raise CheckpointUnavailable("503 Service Unavailable")
        return Restored(self.stored, 1, self.stored_at_s, self.problem)

    def write(self, value: Any, now_s: float) -> bool:
        self.writes.append(now_s - START_S)
        if not self.full:
            self.stored, self.stored_at_s = value, now_s
        return not self.full


@dataclass
class Notes:
    reports: list[TickReport] = field(default_factory=list)
    terms: list[TakeOver] = field(default_factory=list)
    broken: bool = False

    def ticked(self, report: TickReport) -> None:
        if self.broken:
            raise RuntimeError("broken")
        self.reports.append(report)

    def took_over(self, event: TakeOver) -> None:
        self.terms.append(event)


@dataclass
class Rig:
    """A runner on a clock that only moves when it is told to, or when a look takes its time."""

    shop: SmallShop = field(default_factory=SmallShop)
    shelf: Shelf = field(default_factory=Shelf)
    notes: Notes = field(default_factory=Notes)
    leads: bool = True
    epoch: int = 1
    declared: PolicySet = field(default_factory=policies)
    now_s: float = START_S + 4.0
    slow_look_s: float = 0.0

    def __post_init__(self) -> None:
        clocks = Clocks(steady=lambda: self.now_s - START_S, wall=lambda: self.now_s)
        self.given_back = 0
        self.runner = Runner(self._lead, self, self, self, [self.notes], clocks, give_back=self._give_back)

    def _give_back(self) -> None:
        self.given_back += 1

    def _lead(self, epoch: int) -> Lead:
        return Lead(make_loop, self, self.shop, self.shelf, Periods(), epoch)

    def policies(self, now_s: float) -> PolicySet:
        return self.declared

    def observe(self, now_s: float) -> Observation:
        self.now_s += self.slow_look_s
        return self.shop.observe(now_s)

    def observe_fast(self, now_s: float) -> Any:
        return self.shop.observe_fast(now_s)

    def run(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            delay_s = self.runner.step()
            self.now_s = min(until_s, self.now_s + max(delay_s, 1e-3))

    @property
    def ticks_at_s(self) -> list[float]:
        return [round(report.at_s - START_S, 2) for report in self.notes.reports if not report.fast]


def test_ticks_keep_in_phase_with_the_clock_after_the_first_of_a_term() -> None:
    rig = Rig()

    rig.run(60.0)

    assert rig.ticks_at_s == [4.0, 15.0, 30.0, 45.0, 60.0]


def test_between_them_the_fast_lane_looks_every_second() -> None:
    rig = Rig()

    rig.run(30.0)

    assert rig.shop.fast_looks == 30


def test_a_new_look_is_decided_on_at_once() -> None:
    rig = Rig()
    rig.run(0.5)

    rig.runner.looked()
    rig.runner.step()

    assert rig.shop.fast_looks == 2


def test_the_same_look_is_not_decided_on_twice() -> None:
    """A probe that failed once would count as failed twice in a row."""
    rig = Rig()
    rig.run(0.5)

    for _ in range(10):
        rig.runner.looked()
        rig.run(1.0)

    assert rig.shop.fast_looks == 1 + 10


def test_when_looks_stay_away_the_fast_lane_goes_on_by_its_own_clock() -> None:
    rig = Rig()
    rig.runner.looked()

    rig.run(7.5)

    assert rig.shop.fast_looks == 1 + 5  # at 0; then at 3, 4, 5, 6 and 7


def test_a_tick_that_takes_too_long_is_not_made_up_for() -> None:
    rig = Rig(slow_look_s=40.0)

    rig.run(150.0)

    # 4 → 44, then the one due at 15 → 84, then in phase again: 90 → 130, 135 → 175.
    assert rig.ticks_at_s == [4.0, 44.0, 90.0, 135.0]
    # 30, 45, 60, 75; 105, 120; 150, 165.
    assert rig.runner.slow.skipped == 8
    assert rig.runner.fast.skipped > 100


@pytest.mark.parametrize(
    ("now_s", "next_s", "skipped"),
    [
        pytest.param(30.0, 45.0, 0, id="in-time"),
        pytest.param(44.9, 45.0, 0, id="just-in-time"),
        pytest.param(45.0, 60.0, 1, id="one-missed"),
        pytest.param(91.0, 105.0, 4, id="four-missed"),
    ],
)
def test_the_next_due_time_is_in_the_same_phase(now_s: float, next_s: float, skipped: int) -> None:
    grid = Grid(15.0, 30.0)

    grid.passed(now_s)

    assert (grid.next_s, grid.skipped) == (next_s, skipped)


def test_the_leader_acts() -> None:
    rig = Rig()

    rig.run(1.0)

    assert rig.shop.applied == [SetFloor(WEB, 9, START_S + 304.0)]


def test_a_follower_looks_once_a_minute_and_does_nothing() -> None:
    rig = Rig(leads=False)

    rig.run(190.0)

    # At 15 s, and every minute after that: 75, 135; the next would be at 195.
    assert rig.shop.looks == 3 and rig.shop.applied == [] and rig.notes.reports == []
    assert rig.runner.progress.ticks == 12


def test_a_follower_that_could_see_nothing_looks_again_at_its_next_tick() -> None:
    rig = Rig(leads=False, shop=SmallShop(blind=True))

    rig.run(60.0)

    assert rig.shop.looks == 4 and rig.runner.progress.last_tick_at_s is not None


def test_after_a_term_it_looks_at_once() -> None:
    rig = Rig()
    rig.run(40.0)
    looks = rig.shop.looks

    rig.leads = False
    rig.run(15.0)

    assert rig.shop.looks == looks + 1


def test_memory_is_given_back_after_every_slow_tick() -> None:
    rig = Rig()

    rig.run(60.0)

    assert rig.given_back == len(rig.ticks_at_s)


def test_who_loses_the_lead_stops_to_act_at_the_next_second() -> None:
    rig = Rig()
    rig.run(20.0)
    done = len(rig.shop.applied)

    rig.leads = False
    rig.run(60.0)

    assert len(rig.shop.applied) == done


def test_a_new_leader_ticks_at_once() -> None:
    rig = Rig(leads=False)
    rig.run(13.5)

    rig.leads = True
    rig.run(1.0)

    assert rig.ticks_at_s == [17.5]


def test_it_goes_on_from_the_checkpoint_of_its_predecessor() -> None:
    before = Rig()
    before.run(60.0)
    shelf, written_at_s = before.shelf, before.shelf.stored_at_s

    after = Rig(shelf=shelf, epoch=2, now_s=START_S + 64.0)
    after.run(1.0)

    assert after.notes.terms == [TakeOver(START_S + 64.0, 2, written_at_s)]
    # One tick lies before the checkpoint, this is the next.
    assert after.notes.reports[0].memory.ticks == 2


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param({"memory": {"ticks": "many"}}, id="wrong-types"),
        pytest.param({}, id="nothing-in-it"),
        pytest.param([1, 2], id="no-object"),
    ],
)
def test_a_checkpoint_that_cannot_be_restored_means_a_fresh_start(
    stored: Any, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(shelf=Shelf(stored, START_S))

    with caplog.at_level(logging.WARNING):
        rig.run(1.0)

    assert rig.notes.terms[0].problem is not None and rig.notes.terms[0].checkpoint_at_s is None
    assert rig.notes.reports[0].memory.ticks == 1
    assert "started_without_memory" in caplog.messages


def test_a_damaged_checkpoint_is_told_with_its_reason() -> None:
    rig = Rig(shelf=Shelf(problem="its checksum does not match"))

    rig.run(1.0)

    assert rig.notes.terms[0].problem == "its checksum does not match"


def test_nothing_is_done_before_it_is_known_what_the_last_leader_did() -> None:
    rig = Rig(shelf=Shelf(away=True))

    rig.run(50.0)
    assert rig.shop.applied == []
    rig.shelf.away = False
    rig.run(2.0)

    assert rig.shop.applied != [] and rig.notes.terms[0].problem is None


def test_a_checkpoint_that_stays_away_is_not_waited_for_forever() -> None:
    rig = Rig(shelf=Shelf(away=True))

    rig.run(62.0)

    assert rig.notes.terms[0].problem == "it could not be read: 503 Service Unavailable"
    assert rig.shop.applied != []


def test_the_checkpoint_is_written_before_the_first_act_and_knows_of_it() -> None:
    rig = Rig(shop=SmallShop(refuses=True))

    rig.run(1.0)

    assert rig.shelf.writes[0] == 4.0
    assert rig.shelf.stored["memory"]["scaling"][WEB]["floor"]["written"] == 9


def test_checkpoints_before_acts_are_rate_limited() -> None:
    rig = Rig(shop=SmallShop(refuses=True))

    rig.run(120.0)

    # An act is tried at 4, 15, 30, 45, … s.
    assert rig.shelf.writes == [4.0, 45.0, 75.0, 105.0]


def test_without_acts_it_is_written_every_five_minutes() -> None:
    rig = Rig(shop=SmallShop(web_rps=3.0))

    rig.run(900.0)

    assert rig.shelf.writes == [4.0, 315.0, 615.0]


def test_a_write_that_failed_is_tried_again_after_half_a_minute() -> None:
    rig = Rig(shop=SmallShop(web_rps=3.0), shelf=Shelf(full=True))

    rig.run(70.0)

    assert rig.shelf.writes == [4.0, 45.0]


def test_an_exception_in_a_tick_is_logged_counted_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(shop=SmallShop(broken=True))

    rig.run(20.0)
    rig.shop.broken = False
    rig.run(15.0)

    assert rig.runner.progress.failures["slow"] == 2 and rig.runner.progress.failures["fast"] == 20
    assert rig.shop.applied != []
    assert any(record.exc_info for record in caplog.records if record.message == "tick_failed")


def test_memory_with_which_every_tick_fails_is_dropped() -> None:
    rig = Rig()
    rig.run(30.0)
    rig.shop.broken = True

    rig.run(60.0)

    assert rig.notes.terms[-1].problem == "4 ticks in a row have failed with it"


def test_without_metrics_it_holds_and_counts_as_alive() -> None:
    rig = Rig(shop=SmallShop(blind=True))

    rig.run(30.0)

    assert rig.shop.applied == []
    assert {reason.code for report in rig.notes.reports for one in report.decisions for reason in one.reasons} == {
        ReasonCode.NO_METRICS
    }
    assert rig.runner.progress.last_tick_at_s is not None and rig.runner.progress.failures["slow"] == 0


def test_who_is_told_cannot_spoil_a_tick() -> None:
    rig = Rig(notes=Notes(broken=True))

    rig.run(90.0)

    assert rig.runner.progress.failures["observer"] > 0 and rig.runner.progress.failures["slow"] == 0
    assert rig.notes.terms[-1].problem is None


def test_a_forecast_of_demand_lives_as_long_as_its_report() -> None:
    rig = Rig()
    rig.run(1.0)

    reported = rig.notes.reports[0].demand
    assert reported is not None
    kept = weakref.ref(reported.paths)
    del reported
    rig.notes.reports.clear()

    assert kept() is None


def test_the_kill_switch_stops_the_next_tick() -> None:
    rig = Rig(declared=replace(policies(), kill_switch=True))

    rig.run(30.0)

    assert rig.shop.applied == []
    vetoes = {veto.reason.code for report in rig.notes.reports for one in report.decisions for veto in one.vetoes}
    assert vetoes == {ReasonCode.KILL_SWITCH}


def test_policies_that_change_are_followed_at_the_next_tick() -> None:
    rig = Rig(declared=PolicySet({}))
    rig.run(10.0)
    assert rig.notes.reports[0].decisions == ()

    rig.declared = policies()
    rig.run(10.0)

    assert [decision.workload for decision in rig.notes.reports[1].decisions] == ["shop/web", "shop/api"]


def test_a_stopped_leader_leaves_its_checkpoint() -> None:
    rig = Rig(shop=SmallShop(web_rps=3.0))
    rig.run(100.0)
    rig.runner.stop()

    rig.runner.run()

    assert rig.shelf.stored_at_s == START_S + 104.0


def test_a_stopped_follower_leaves_nothing() -> None:
    rig = Rig(leads=False)
    rig.run(100.0)
    rig.runner.stop()

    rig.runner.run()

    assert rig.shelf.writes == []
