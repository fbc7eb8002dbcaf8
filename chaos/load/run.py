"""Carries a load plan out: draws everything, lets a process of its own send it, and sums up what it saw."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from chaos.load.arrivals import expected_arrivals, poisson_arrivals
from chaos.load.catalogue import Catalogue, ask_catalogue
from chaos.load.ledger import read_ledgers
from chaos.load.mix import Visits, draw_visits
from chaos.load.plan import MOST_ARRIVALS, LoadPlan, PlanInvalid, job_of
from chaos.load.records import read_records
from chaos.load.summary import Ended, LoadSummary, summarised
from simulation.streams import generator

LEAD_S = 0.3  # from the start signal to the first possible arrival


class LoadFailed(Exception):
    """The sending process did not do its job; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `p99_ms` is of the last seconds, None before there is one; counts are of requests."""

    elapsed_s: float
    duration_s: float
    rps: float
    in_flight: int
    p99_ms: float | None
    ok: int
    failed: int
    skipped: int


def run_load(plan: LoadPlan, watch: Callable[[Progress], None] = lambda _: None) -> LoadSummary:
    """Sends the plan's load and returns when all is answered or given up; Ctrl-C ends it early and still sums up.

    Raises `CatalogueUnavailable`, `PlanInvalid`, `LedgerInvalid` (before anything is sent), `LoadFailed`.
    """
    if plan.ledger.exists():
        read_ledgers([plan.ledger])  # what cannot be read afterwards is not written to
    catalogue = ask_catalogue(plan.target)
    visits = drawn(plan, catalogue)
    plan.out.mkdir(parents=True, exist_ok=True)
    visits_file = plan.out / "visits.npz"
    visits.write(visits_file)
    job = job_of(plan, catalogue, visits_file)
    job_file = plan.out / "job.json"
    job.write(job_file)
    started_at, ended = _sent(plan, job_file, watch)
    summary = summarised(
        plan.run_id,
        started_at,
        ended,
        tuple(read_records(plan.records)),
        None if plan.probe is None else tuple(read_records(plan.probe_records)),
        read_ledgers([plan.ledger]),
        plan.slo_s,
    )
    (plan.out / "summary.json").write_text(json.dumps(summary.as_json(), indent=1) + "\n", encoding="utf-8")
    return summary


def drawn(plan: LoadPlan, catalogue: Catalogue) -> Visits:
    """All visits of the plan. The request rate is the shape's; arrivals are fewer, as some are several requests."""
    rates_rps, per_arrival = plan.shape.rates_rps(), plan.mix.requests_per_arrival
    expected = expected_arrivals(rates_rps, plan.shape.duration_s) / per_arrival
    if expected > MOST_ARRIVALS:
        raise PlanInvalid(
            f"the load is {expected:,.0f} arrivals, at most {MOST_ARRIVALS:,}: lower its rate or duration"
        )
    due_s = poisson_arrivals(
        lambda times_s: rates_rps(times_s) / per_arrival, plan.shape.duration_s, generator(plan.seed, "load arrivals")
    )
    return draw_visits(due_s, plan.mix, catalogue, generator(plan.seed, "load visits"))


def _sent(plan: LoadPlan, job_file: Path, watch: Callable[[Progress], None]) -> tuple[float, Ended]:
    """Start time and end of the run."""
    errors_file = plan.out / "sender.log"
    with errors_file.open("w", encoding="utf-8") as errors, _sender(job_file, errors) as process:
        assert process.stdin is not None and process.stdout is not None
        lines = _Lines(process.stdout)
        if next(lines, {}).get("event") != "ready":
            raise LoadFailed(f"the sending process did not start; {errors_file} says: {_last_words(errors_file)}")
        started_at = time.time() + LEAD_S
        _declare(plan, started_at)
        process.stdin.write(json.dumps({"start_at": started_at}) + "\n")
        process.stdin.flush()
        finished = _watched(process, lines, plan, watch)
    if finished is None or finished["crashed"] is not None:
        why = _last_words(errors_file) if finished is None else finished["crashed"]
        raise LoadFailed(f"the sending process broke off; {errors_file} says: {why}")
    return started_at, Ended(
        ended_s=min(float(finished["ended_s"]), plan.shape.duration_s)
        if finished["stopped"]
        else plan.shape.duration_s,
        stopped_early=bool(finished["stopped"]),
        given_up=int(finished["given_up"]),
        cpu_ms_per_request=float(finished["cpu_s"]) * 1000.0 / max(1, int(finished["requests"])),
    )


@contextmanager
def _sender(job_file: Path, errors: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """The sending process, in a session of its own so that Ctrl-C reaches it through us only; never left behind."""
    with subprocess.Popen(
        [sys.executable, "-m", "chaos.load", str(job_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _watched(
    process: subprocess.Popen[str],
    lines: Iterator[dict[str, Any]],
    plan: LoadPlan,
    watch: Callable[[Progress], None],
) -> dict[str, Any] | None:
    """The `finished` line; None when the process ended without one. The first Ctrl-C asks it to end early."""
    asked = False
    while True:
        try:
            for line in lines:
                if line["event"] == "finished":
                    return line
                watch(_progress(line, plan))
            return None
        except KeyboardInterrupt:
            if asked:
                raise
            asked = True
            process.send_signal(signal.SIGINT)


class _Lines:
    """The JSON lines that the process says. An interrupt ends no iteration, as it would that of a generator."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> dict[str, Any]:
        text = self._stream.readline()
        if not text:
            raise StopIteration
        line: dict[str, Any] = json.loads(text)
        return line


def _progress(line: dict[str, Any], plan: LoadPlan) -> Progress:
    return Progress(
        elapsed_s=float(line["elapsed_s"]),
        duration_s=plan.shape.duration_s,
        rps=float(line["rps"]),
        in_flight=int(line["in_flight"]),
        p99_ms=None if line["p99_ms"] is None else float(line["p99_ms"]),
        ok=int(line["ok"]) + int(line["rejected"]),
        failed=int(line["failed"]),
        skipped=int(line["skipped"]),
    )


def _declare(plan: LoadPlan, started_at: float) -> None:
    """Announced events go into a file before the load begins, for whoever hands them to a policy."""
    events = plan.shape.declared_events(datetime.fromtimestamp(started_at, UTC))
    (plan.out / "events.json").write_text(json.dumps({"events": events}, indent=1) + "\n", encoding="utf-8")


def _last_words(file: Path) -> str:
    lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "nothing"
