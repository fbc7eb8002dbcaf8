"""Whole experiments over a cluster, a load and a clock that are made of a few lines each."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from chaos.experiments.conductor import Conductor, GuardSettings
from chaos.experiments.cpu_times import CpuTimes
from chaos.experiments.experiment import (
    LoadPlayed,
    Wanted,
    carry_out_all,
    recorded_load,
    recorded_scenarios,
    roll_back,
)
from chaos.experiments.interrupts import Interrupted, Interrupts
from chaos.experiments.measured.rows import PodRow, ServiceRow, WorkloadRow, write_rows
from chaos.experiments.problems import FolderInvalid, PlanRefused, RollbackIncomplete, RunFailed
from chaos.experiments.rollback import RollbackJournal, Undo
from chaos.experiments.run_folder import Bookkeeping, add_decisions, run_folder
from chaos.experiments.scored import scored
from chaos.experiments.shop_map import service_of
from chaos.experiments.stand import LoadSeen, Stand
from chaos.experiments.state import STATE, RunState, StateFile
from chaos.load.reconcile import Reconciliation
from chaos.load.records import Record, RecordFile, Verdict

RPS = 5
OUTAGE = {"kind": "metrics_outage", "start_s": 20, "duration_s": 20}


@dataclass
class FakeClock:
    at_s: float = 1_790_000_000.0
    stolen_ratio: float = 0.0

    def now_s(self) -> float:
        return self.at_s

    def sleep(self, seconds: float) -> None:
        self.at_s += seconds

    def cpu_times(self) -> CpuTimes:
        return CpuTimes(self.at_s, self.stolen_ratio * self.at_s)


@dataclass
class FakeShop:
    """Installer, load, observer and bookkeeper in one. `failing` are arms whose requests fail from t = 25 on."""

    clock: FakeClock
    log: list[str] = field(default_factory=list)
    failing: frozenset[str] = frozenset()
    breaks: str = ""  # where it raises: "set_up"
    interrupted_at_s: float | None = None
    books_known: bool = True
    arm: str = ""
    plan: object = None
    began_s: float = 0.0
    stopped: bool = False

    # Installer
    def set_up(self, plan, arm):
        if self.breaks == "set_up":
            raise RunFailed("helm said no")
        self.log.append(f"set up {arm.name}")
        self.arm, self.plan, self.stopped = arm.name, plan, False

    def announce(self, arm, events, zero_s):
        self.log.append(f"announced {[event.name for event in events]} to {arm.name}")

    def let_act(self, arm):
        self.log.append(f"{arm.name} may act after {self.clock.now_s() - self.began_s:g} s of load")

    def tear_down(self):
        self.log.append("torn down")

    # LoadDriver and RunningLoad
    def start(self, plan, folder):
        self.began_s = self.clock.now_s()
        folder.load.mkdir(parents=True)
        folder.ledger.write_text("")
        records = RecordFile(folder.requests)
        for request in range(int(plan.load_s * RPS)):
            records.add(self._record(request / RPS))
        records.close()
        return self

    def _record(self, due_s):
        bad = self.arm in self.failing and due_s - self.plan.zero_s >= 25.0
        return Record(due_s, "front", Verdict.FAILED if bad else Verdict.OK, 503 if bad else 200, latency_ms=50.0)

    def seen(self):
        past_s = self.clock.now_s() - self.began_s
        if self.interrupted_at_s is not None and past_s >= self.interrupted_at_s:
            raise Interrupted("SIGTERM")
        failing_s = max(0.0, past_s - self.plan.zero_s - 25.0) if self.arm in self.failing else 0.0
        return LoadSeen(int(past_s * RPS), int(failing_s * RPS), 0.05, past_s >= self.plan.load_s)

    def stop(self):
        self.stopped = True

    # Observer
    def unready(self):
        return ()

    @contextmanager
    def watching(self, folder):
        begins_s = self.clock.now_s()
        yield
        times = range(int(begins_s), int(self.clock.now_s()) + 1)
        services = self.plan.scenario.topology.services
        write_rows(
            folder.workloads, WorkloadRow, (WorkloadRow(float(t), s.name, 2, 2, 2, 2) for t in times for s in services)
        )
        if self.arm == "foresail":
            add_decisions(folder, [])

    def collect(self, folder, zero_s, end_s, step_s):
        write_rows(folder.services, ServiceRow, [ServiceRow(zero_s + step_s, "gateway", 5.0, None, 10.0, 50.0)])
        write_rows(folder.pods, PodRow, [PodRow(zero_s + step_s, "gateway", "g-1", 5.0, 0.1)])

    # Bookkeeper
    def settle(self, folder):
        return Bookkeeping(Reconciliation(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ()), {}) if self.books_known else None


@pytest.fixture
def shop():
    return FakeShop(FakeClock())


@pytest.fixture
def wanted(scenario, limits, tmp_path):
    short = scenario(duration_s=60, warm_up_s=60, load={"rps": 5, "roughness": 0.0}, faults=[OUTAGE])
    return Wanted((short,), ("hpa-tuned", "foresail"), (1,), limits, tmp_path / "out")


@pytest.fixture
def run(shop, cluster):
    """Carries an experiment out and gives what it said."""

    def carried_out(wanted, most_error_minutes=5.0):
        said = []
        stand = Stand(shop, shop, shop, shop, cluster.verbs)
        guard = GuardSettings(most_error_minutes)
        conductor = Conductor(stand, shop.clock, Interrupts(), guard, said.append)
        carry_out_all(wanted, stand, conductor.carry_out, shop.clock, said.append)
        return said

    return carried_out


def ends(wanted):
    return {key.arm: event.state for key, event in StateFile(wanted.out / STATE).last().items()}


def test_a_whole_experiment_from_plan_to_summary_and_report(run, wanted, shop, cluster):
    said = run(wanted)

    outcome = scored(wanted.out, wanted.scenarios, wanted.arms, service_of)
    assert ends(wanted) == {"hpa-tuned": RunState.FINISHED, "foresail": RunState.FINISHED}
    assert cluster.log == ["off metrics_outage", "on metrics_outage"] * 2
    summary = json.loads((wanted.out / "summary.json").read_text())
    assert summary["origin"] == "live" and summary["baseline"] == "hpa-tuned"
    assert summary["arms"]["foresail"]["downtime_s"]["mean"] == 0.0
    [fault] = summary["faults"]
    assert (fault["kind"], fault["start_s"]) == ("metrics_outage", 20.0)
    assert "· live" in (wanted.out / "report.html").read_text()
    assert (wanted.out / "raw" / "foresail-1.npz").is_file()
    assert outcome.summary.failures == ()
    assert any(line.startswith("[2/2]") and line.endswith("finished") for line in said)


def test_downtime_of_a_live_run_is_scored_by_the_simulators_rule(run, wanted, shop):
    shop.failing = frozenset({"hpa-tuned"})

    run(wanted)

    outcome = scored(wanted.out, wanted.scenarios, wanted.arms, lambda name: name)
    # From t = 25 all fail, five a second: down from the end of that second on until t = 60.
    assert outcome.summary.mean("hpa-tuned", "downtime_s") == 35.0
    assert outcome.summary.mean("foresail", "downtime_s") == 0.0


def test_too_many_minutes_of_error_abort_the_run_and_take_everything_back(run, wanted, shop, cluster):
    shop.failing = frozenset({"hpa-tuned"})

    run(wanted, most_error_minutes=0.1)

    assert ends(wanted) == {"hpa-tuned": RunState.ABORTED, "foresail": RunState.FINISHED}
    assert cluster.log.count("off metrics_outage") == cluster.log.count("on metrics_outage") == 2
    assert shop.stopped
    [failure] = scored(wanted.out, wanted.scenarios, wanted.arms, lambda name: name).summary.failures
    assert failure.arm == "hpa-tuned" and "minutes of error" in failure.error


def test_a_run_that_breaks_is_recorded_and_the_next_one_begins(run, wanted, shop):
    shop.breaks = "set_up"

    run(wanted)

    assert set(ends(wanted).values()) == {RunState.FAILED}
    failures = scored(wanted.out, wanted.scenarios, wanted.arms, lambda name: name).summary.failures
    assert {failure.error for failure in failures} == {"failed: RunFailed: helm said no"}


def test_without_the_books_nobody_knows_whether_orders_were_lost_and_the_run_failed(run, wanted, shop):
    shop.books_known = False

    run(wanted)

    last = StateFile(wanted.out / STATE).last()
    assert all("ledger was not reconciled" in event.why for event in last.values())


def test_an_interrupted_experiment_is_taken_back_and_goes_on_with_resume(run, wanted, shop, cluster):
    shop.interrupted_at_s = 60.0 + 30.0  # in the middle of the fault
    with pytest.raises(Interrupted):
        run(wanted)
    assert cluster.log == ["off metrics_outage", "on metrics_outage"]
    assert set(ends(wanted).values()) == {RunState.BEGAN}

    shop.interrupted_at_s = None
    run(replace(wanted, resume=True))

    assert ends(wanted) == {"hpa-tuned": RunState.FINISHED, "foresail": RunState.FINISHED}


def test_what_ended_is_not_run_again(run, wanted, shop):
    run(wanted)
    shop.log.clear()

    run(replace(wanted, resume=True))

    assert shop.log == []


def test_more_arms_can_be_added_to_an_experiment(run, wanted):
    run(wanted)

    run(replace(wanted, resume=True, arms=("hpa-default",)))

    summary = scored(wanted.out, wanted.scenarios, ("hpa-default",), lambda name: name).summary
    assert set(summary.arms) == {"hpa-tuned", "foresail", "hpa-default"}


def test_a_folder_with_an_experiment_is_not_written_over(run, wanted):
    run(wanted)

    with pytest.raises(FolderInvalid, match="give --resume"):
        run(wanted)


def test_a_scenario_that_changed_is_not_resumed(run, wanted, scenario):
    run(wanted)
    other = scenario(duration_s=61, warm_up_s=60, load={"rps": 5, "roughness": 0.0}, faults=[OUTAGE])

    with pytest.raises(FolderInvalid, match="short changed since it was begun"):
        run(replace(wanted, resume=True, scenarios=(other,)))


def test_what_a_killed_run_did_is_taken_back_before_the_next_one_begins(run, wanted, shop, cluster):
    journal = RollbackJournal(wanted.out / "short" / "runs" / "foresail-9" / "rollback.jsonl")
    journal.promise(Undo("start_node", "node-2"))

    said = run(replace(wanted, resume=True))

    assert cluster.log[0] == "start_node node-2"
    assert "left over from a run that was stopped, taken back: start node node-2" in said


def test_a_rollback_by_hand_finds_all_that_is_outstanding(cluster, tmp_path, shop):
    for arm in ("foresail-1", "hpa-tuned-1"):
        RollbackJournal(tmp_path / "leak" / "runs" / arm / "rollback.jsonl").promise(Undo("heal_zone", "zone-a"))
    stand = Stand(shop, shop, shop, shop, cluster.verbs)

    assert len(roll_back(tmp_path, stand)) == 2
    assert roll_back(tmp_path, stand) == ()


def test_what_cannot_be_taken_back_ends_the_experiment(run, wanted, cluster):
    cluster.says_no = {"on"}

    with pytest.raises(RollbackIncomplete, match="switch on metrics_outage"):
        run(wanted)

    assert sorted(ends(wanted).values()) == [RunState.FAILED]


def test_nothing_is_touched_when_a_scenario_cannot_be_carried_out(run, wanted, scenario, shop):
    impossible = scenario(name="impossible", faults=[{"kind": "metrics_delay", "start_s": 1}])

    with pytest.raises(PlanRefused):
        run(replace(wanted, scenarios=(*wanted.scenarios, impossible)))

    assert shop.log == [] and not wanted.out.exists()


def test_announcements_reach_only_the_arm_that_knows_events(run, wanted, scenario, shop):
    sale = {"kind": "flash_sale", "start_s": 20, "duration_s": 20, "magnitude": 2, "announced": True}
    announced = scenario(duration_s=60, warm_up_s=60, load={"rps": 5, "roughness": 0.0}, faults=[sale])

    run(replace(wanted, scenarios=(announced,)))

    told = [line for line in shop.log if line.startswith("announced")]
    assert sorted(told) == ["announced ['flash_sale-0'] to foresail", "announced [] to hpa-tuned"]


def test_an_experiment_knows_its_scenarios(run, wanted):
    run(wanted)

    assert recorded_scenarios(wanted.out) == wanted.scenarios
    with pytest.raises(FolderInvalid, match="has no experiment"):
        recorded_scenarios(wanted.out / "short")


def test_nothing_ended_means_nothing_to_score(wanted):
    with pytest.raises(FolderInvalid, match="no run has ended yet"):
        scored(wanted.out, wanted.scenarios, wanted.arms, lambda name: name)


def test_a_second_attempt_does_not_read_the_rows_of_the_first(run, wanted, shop):
    run(wanted)
    folder = run_folder(wanted.out, next(iter(StateFile(wanted.out / STATE).last())))
    lines = len(folder.workloads.read_text().splitlines())
    (wanted.out / STATE).unlink()

    run(replace(wanted, resume=True))

    assert len(folder.workloads.read_text().splitlines()) == lines


def test_a_run_beside_which_the_host_took_the_processors_away_is_no_evidence(run, wanted, shop):
    shop.clock.stolen_ratio = 0.3

    said = run(wanted)

    assert set(ends(wanted).values()) == {RunState.FAILED}
    assert "the host took 30 % of the processors' time away meanwhile" in said


def test_a_folder_says_how_its_load_was_made(run, wanted):
    run(replace(wanted, limits=replace(wanted.limits, scale=0.5, settle_s=20.0)))

    assert recorded_load(wanted.out) == LoadPlayed(scale=0.5, settle_s=20.0)


def test_an_arm_acts_only_when_the_shop_had_time_to_settle(run, wanted, shop):
    run(replace(wanted, arms=("foresail",), seeds=(1,), limits=replace(wanted.limits, settle_s=20.0)))

    assert "foresail may act after 20 s of load" in shop.log
