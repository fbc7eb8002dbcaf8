"""Many runs: planned before the first begins, carried out one after the other, resumed where they were stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.experiments.arms import LiveArm, hpa_values, live_arm
from chaos.experiments.conductor import Clock
from chaos.experiments.injecting.undoing import perform
from chaos.experiments.jobs import RunKey, paired_runs
from chaos.experiments.live_plan import LiveLimits, LivePlan, live_plan
from chaos.experiments.problems import ExperimentError, FolderInvalid, RollbackIncomplete, RunAborted
from chaos.experiments.progress import left_s, told
from chaos.experiments.rollback import ROLLBACK, Rollback, RollbackJournal, Undo
from chaos.experiments.run_folder import RunFolder, read_run, run_folder
from chaos.experiments.shop_map import service_of
from chaos.experiments.stand import Stand
from chaos.experiments.state import STATE, RunEvent, RunState, StateFile, left_to_do, spent_s
from chaos.load.ledger import LedgerInvalid
from chaos.load.run import LoadFailed
from simulation.scenario import Scenario, scenario_of

EXPERIMENT = "experiment.json"

#: Carries one run out: a plan under an arm into a folder; a `Conductor` does.
CarryOut = Callable[[LivePlan, LiveArm, RunFolder], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An experiment as asked for."""

    scenarios: tuple[Scenario, ...]
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    limits: LiveLimits
    out: Path
    resume: bool = False
    again: frozenset[RunState] = frozenset()  # ends that are tried once more


def plans_of(wanted: Wanted) -> Mapping[tuple[str, int], LivePlan]:
    """By scenario and seed. Raises `PlanRefused` or `ArmUnknown` before anything is touched."""
    for name in wanted.arms:
        for scenario in wanted.scenarios:
            hpa_values(live_arm(name), scenario.topology)
    return {
        (scenario.name, seed): live_plan(scenario, seed, wanted.limits)
        for scenario in wanted.scenarios
        for seed in wanted.seeds
    }


def carry_out_all(wanted: Wanted, stand: Stand, carry_out: CarryOut, clock: Clock, say: Callable[[str], None]) -> None:
    """Every run that is left. A run that breaks is recorded and the next one begins; only what an experiment did and
    could not take back ends it all, since the next run would not have a fresh cluster.

    Raises `PlanRefused`, `FolderInvalid`, `RollbackIncomplete`; `Interrupted` passes through, to be resumed.
    """
    plans = plans_of(wanted)
    state = StateFile(wanted.out / STATE)
    _claim(wanted, state)
    for undo in roll_back(wanted.out, stand):
        say(f"left over from a run that was stopped, taken back: {undo}")
    runs = paired_runs([s.name for s in wanted.scenarios], wanted.arms, wanted.seeds)
    left = left_to_do(runs, state.last(), wanted.again)
    load_s = {name: plan.load_s for (name, _), plan in plans.items()}
    for done, key in enumerate(left):
        number = len(runs) - len(left) + done + 1
        say(told(number, len(runs), key, "begins", left_s(left[done:], spent_s(state.events()), load_s)))
        state.note(RunEvent(key, RunState.BEGAN, clock.now_s()))
        end, why = _end_of(key, plans[key.scenario, key.seed], wanted.out, carry_out, state, clock)
        state.note(RunEvent(key, end, clock.now_s(), why))
        rest_s = left_s(left[done + 1 :], spent_s(state.events()), load_s)
        say(told(number, len(runs), key, f"{end}: {why}" if why else end.value, rest_s))


def roll_back(out: Path, stand: Stand) -> tuple[Undo, ...]:
    """Take back what stopped runs left, whatever stopped them. Raises `RollbackIncomplete`, `FolderInvalid`."""
    undone: list[Undo] = []
    for path in sorted(out.glob(f"*/runs/*/{ROLLBACK}")):
        undone += Rollback(RollbackJournal(path), lambda undo: perform(undo, stand.verbs)).unwind()
    return tuple(undone)


@dataclass(frozen=True, slots=True)
class LoadPlayed:
    """How all runs of an experiment deviated from the load of their scenarios."""

    scale: float  # of every rate
    settle_s: float  # of load before the warm-up


def recorded_load(out: Path) -> LoadPlayed:
    """Of the experiment in a folder. Raises `FolderInvalid`."""
    try:
        played = _recorded_in(out)["played"]
        return LoadPlayed(float(played["scale"]), float(played["settle_s"]))
    except (KeyError, TypeError, ValueError) as error:
        raise FolderInvalid(f"{out / EXPERIMENT}: played needs the numbers scale and settle_s: {error!r}") from None


def recorded_scenarios(out: Path) -> tuple[Scenario, ...]:
    """The scenarios of the experiment in a folder. Raises `FolderInvalid`."""
    raw = _recorded_in(out)
    return tuple(scenario_of(one, f"{out / EXPERIMENT}: {name}") for name, one in raw["scenarios"].items())


def _end_of(
    key: RunKey,
    plan: LivePlan,
    out: Path,
    carry_out: CarryOut,
    state: StateFile,
    clock: Clock,
) -> tuple[RunState, str]:
    """How the run ended. It is finished only when it can be read back and scored."""
    folder = run_folder(out, key)
    try:
        carry_out(plan, live_arm(key.arm), folder)
        read_run(folder, plan.scenario, key, service_of)
    except RunAborted as error:
        return RunState.ABORTED, str(error)
    except RollbackIncomplete as error:
        state.note(RunEvent(key, RunState.FAILED, clock.now_s(), str(error)))
        raise
    except (ExperimentError, LedgerInvalid, LoadFailed, OSError) as error:
        return RunState.FAILED, f"{type(error).__name__}: {error}"
    return RunState.FINISHED, ""


def _claim(wanted: Wanted, state: StateFile) -> None:
    """The folder is this experiment's: new, or resumed with the same scenarios and the same limits."""
    before = _recorded(wanted.out)
    if (before is not None or state.events()) and not wanted.resume:
        raise FolderInvalid(f"{wanted.out}: holds an experiment: give --resume to go on with it, or another --out")
    scenarios = {s.name: s.model_dump(mode="json") for s in wanted.scenarios}
    limits = wanted.limits
    played = {"scale": limits.scale, "warm_up_s": limits.warm_up_s, "settle_s": limits.settle_s}
    if before is not None:
        if before["played"] != played:
            raise FolderInvalid(f"{wanted.out}: was begun with {before['played']}, not {played}: give another --out")
        changed = [name for name, raw in scenarios.items() if before["scenarios"].get(name, raw) != raw]
        if changed:
            raise FolderInvalid(f"{wanted.out}: {', '.join(changed)} changed since it was begun: give another --out")
        scenarios = {**before["scenarios"], **scenarios}
    wanted.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"played": played, "scenarios": scenarios}, indent=1, ensure_ascii=False)
    (wanted.out / EXPERIMENT).write_text(text + "\n", encoding="utf-8")


def _recorded_in(out: Path) -> dict[str, Any]:
    raw = _recorded(out)
    if raw is None:
        raise FolderInvalid(f"{out}: has no {EXPERIMENT}: give the --out of an experiment")
    return raw


def _recorded(out: Path) -> dict[str, Any] | None:
    path = out / EXPERIMENT
    if not path.is_file():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return {"played": dict(raw["played"]), "scenarios": dict(raw["scenarios"])}
    except (KeyError, TypeError, ValueError) as error:
        raise FolderInvalid(f"{path}: not the record of an experiment: {error!r}") from None


def different(plans: Mapping[tuple[str, int], LivePlan]) -> Sequence[str]:
    """What is not as in the simulator, each once, to be said before the first run."""
    return tuple(
        dict.fromkeys(f"{name}: {difference}" for (name, _), plan in plans.items() for difference in plan.differences)
    )
