"""What one live run can tell about the shop, and when it was left alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from chaos.experiments.ended import FinishedRun
from chaos.experiments.jobs import RunKey
from chaos.experiments.measured.rows import PodRow, ServiceRow, WorkloadRow, read_rows
from chaos.experiments.run_folder import probes_sent_s, read_facts
from chaos.experiments.shop_map import ENTERS_AT
from chaos.load.records import Record, Verdict, read_records

#: What a fault did is felt for so long after its end; measured times leave it out.
AFTER_S = 60.0
#: Requests that reached the shop, each counted once.
SENT = frozenset({Verdict.OK, Verdict.REJECTED, Verdict.FAILED})

Rates = TypeVar("Rates", ServiceRow, PodRow)


@dataclass(frozen=True, slots=True)
class Observed:
    """Rows of a run in order of time. `at_s` of rows are Unix seconds, `due_s` of requests count from the load's start;
    `faults` are spans of Unix time with something wrong in them, crowds not counted."""

    key: RunKey
    load_began_s: float
    step_s: float
    workloads: Mapping[str, Sequence[WorkloadRow]]  # by service
    services: Sequence[ServiceRow]
    pods: Sequence[PodRow]
    requests: Sequence[Record]
    probes_s: Sequence[float]  # when a probe sent an order, since the load's start
    faults: Sequence[tuple[float, float]]

    def calm(self, first_s: float, last_s: float) -> bool:
        """Nothing was injected, or felt afterwards, between the two moments."""
        return all(last_s < began_s or first_s > ended_s + AFTER_S for began_s, ended_s in self.faults)


def observed(run: FinishedRun) -> Observed:
    """Raises `ExperimentError` or `OSError` when the run cannot be read."""
    facts, folder = read_facts(run.folder), run.folder
    workloads: dict[str, list[WorkloadRow]] = {}
    for row in sorted(read_rows(folder.workloads, WorkloadRow), key=lambda row: row.at_s):
        workloads.setdefault(row.service, []).append(row)
    return Observed(
        key=run.key,
        load_began_s=facts.load_began_s,
        step_s=facts.step_s,
        workloads=workloads,
        services=[_finite(row) for row in read_rows(folder.services, ServiceRow)],
        pods=sorted(map(_finite, read_rows(folder.pods, PodRow)), key=lambda row: row.at_s),
        requests=[r for r in read_records(folder.requests) if r.verdict in SENT and r.operation in ENTERS_AT],
        probes_s=probes_sent_s(folder),
        faults=[
            (facts.zero_s + one.began_s, facts.zero_s + (math.inf if one.ended_s is None else one.ended_s))
            for one in facts.injections
            if one.began_s is not None
        ],
    )


def _finite(row: Rates) -> Rates:
    """NaN and infinity are nothing that was measured."""
    no_numbers = [
        f.name
        for f in fields(row)
        if isinstance(value := getattr(row, f.name), float) and f.name != "at_s" and not math.isfinite(value)
    ]
    unknown: dict[str, Any] = dict.fromkeys(no_numbers)
    return replace(row, **unknown) if unknown else row
