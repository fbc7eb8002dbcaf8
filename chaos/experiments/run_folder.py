"""One run on disk: everything that its figures can be worked out from again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaos.experiments.arms import LiveArm, live_arm
from chaos.experiments.guard import GuardVerdict
from chaos.experiments.injecting.injections import InjectionRecord
from chaos.experiments.jobs import RunKey
from chaos.experiments.measured.decisions import Told, told_decisions
from chaos.experiments.measured.live_result import Measured, live_result
from chaos.experiments.measured.orders import order_ledger
from chaos.experiments.measured.rows import PodRow, ServiceRow, WorkloadRow, read_rows
from chaos.experiments.measured.service_seconds import Rows
from chaos.experiments.problems import FolderInvalid, RunFailed
from chaos.load.ledger import read_ledgers
from chaos.load.reconcile import Finding, Mistake, Reconciliation
from chaos.load.records import Verdict, read_records
from simulation.result import RunResult
from simulation.scenario import Scenario


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where what lies."""

    path: Path

    @property
    def load(self) -> Path:
        """What the load writes: requests, probes, its summary."""
        return self.path / "load"

    @property
    def requests(self) -> Path:
        return self.load / "requests.csv"

    @property
    def probes(self) -> Path:
        return self.load / "probe.csv"

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.jsonl"

    @property
    def workloads(self) -> Path:
        return self.path / "workloads.csv"

    @property
    def services(self) -> Path:
        return self.path / "services.csv"

    @property
    def pods(self) -> Path:
        return self.path / "pods.csv"

    @property
    def decisions(self) -> Path:
        return self.path / "decisions.jsonl"

    @property
    def facts(self) -> Path:
        return self.path / "run.json"


def run_folder(out: Path, key: RunKey) -> RunFolder:
    return RunFolder(out / key.scenario / "runs" / f"{key.arm}-{key.seed}")


@dataclass(frozen=True, slots=True)
class Bookkeeping:
    """The ledger held against the shop's books when all was over. `commits`: how often each key is confirmed."""

    reconciliation: Reconciliation
    commits: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run beside its rows. Times are Unix seconds."""

    load_began_s: float
    zero_s: float
    step_s: float  # of Prometheus' rows
    injections: tuple[InjectionRecord, ...]
    guard: GuardVerdict
    books: Bookkeeping | None  # None: they could not be read


def write_facts(folder: RunFolder, facts: RunFacts) -> None:
    folder.facts.write_text(json.dumps(asdict(facts), indent=1) + "\n", encoding="utf-8")


def read_facts(folder: RunFolder) -> RunFacts:
    """Raises `FolderInvalid`."""
    try:
        raw: dict[str, Any] = json.loads(folder.facts.read_text(encoding="utf-8"))
        books = raw["books"]
        return RunFacts(
            load_began_s=float(raw["load_began_s"]),
            zero_s=float(raw["zero_s"]),
            step_s=float(raw["step_s"]),
            injections=tuple(InjectionRecord(**{**r, "targets": tuple(r["targets"])}) for r in raw["injections"]),
            guard=GuardVerdict(**{**raw["guard"], "deviations": tuple(raw["guard"]["deviations"])}),
            books=None if books is None else Bookkeeping(_reconciliation(books["reconciliation"]), books["commits"]),
        )
    except OSError as error:
        raise FolderInvalid(f"{folder.facts}: cannot be read: {error.strerror}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise FolderInvalid(f"{folder.facts}: not the facts of a run: {error!r}") from None


def add_decisions(folder: RunFolder, lines: Iterable[Mapping[str, Any]]) -> None:
    """As the operator told them."""
    with folder.decisions.open("a", encoding="utf-8") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)


def probes_sent_s(folder: RunFolder) -> tuple[float, ...]:
    """When orders of the probe were due that were sent, in seconds since the load began; none without a probe."""
    if not folder.probes.is_file():
        return ()
    return tuple(one.due_s for one in read_records(folder.probes) if one.verdict is not Verdict.SKIPPED)


def read_run(folder: RunFolder, scenario: Scenario, key: RunKey, name_of: Callable[[str], str]) -> RunResult:
    """The run as the scoring wants it. Raises `RunFailed` or `FolderInvalid`."""
    facts, arm = read_facts(folder), live_arm(key.arm)
    if facts.books is None:
        raise RunFailed("the ledger was not reconciled: nobody knows whether orders were lost")
    orders = read_ledgers([folder.ledger])
    span_s = (facts.zero_s, facts.zero_s + scenario.duration_s)
    measured = Measured(
        records=read_records(folder.requests),
        rows=Rows(
            read_rows(folder.workloads, WorkloadRow),
            read_rows(folder.services, ServiceRow),
            read_rows(folder.pods, PodRow),
            facts.step_s,
        ),
        told=_told(folder, arm, facts.zero_s, name_of),
        orders=order_ledger(orders, dict(facts.books.commits), facts.books.reconciliation, span_s),
        injections=facts.injections,
        load_began_s=facts.load_began_s,
        zero_s=facts.zero_s,
    )
    return live_result(scenario, arm, key.seed, measured)


def _told(folder: RunFolder, arm: LiveArm, zero_s: float, name_of: Callable[[str], str]) -> Told:
    """An arm without an operator has no decisions; of one with it, silence would be a missing file."""
    if arm.operator == "none":
        return Told((), frozenset())
    if not folder.decisions.is_file():
        raise RunFailed("the operator's decisions were not collected")
    return told_decisions(_json_lines(folder.decisions), zero_s, name_of)


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            yield json.loads(row)
        except ValueError:
            raise FolderInvalid(f"{path}: line {number} is no JSON") from None


def _reconciliation(raw: Mapping[str, Any]) -> Reconciliation:
    findings = tuple(Finding(Mistake(f["mistake"]), f["key"], f["detail"]) for f in raw["findings"])
    return Reconciliation(**{**raw, "findings": findings})
