"""Training series from simulated shops, written as files: coherent families of arrivals, latency, errors and memory.

Each run leaves `run-SEED-15s.csv` (services), `run-SEED-60s.csv` (pods and databases) and `run-SEED.json` (scenario,
signals, faults); `manifest.json` joins the last. Training reads the tables by `forecasting.series_files`.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import joblib

from simulation.arms import arm_settings
from simulation.corpus_scenarios import corpus_scenario
from simulation.corpus_signals import DEMAND_STEP_S, READ_AFTER_S, Recording, Tape
from simulation.feeds.prometheus import Prometheus
from simulation.run import TooManyInProgress
from simulation.scenario import Scenario
from simulation.studies.sweep import compile_kernels
from simulation.wiring import assemble
from simulation.world import World

#: Seeds from here to `LAST_SEED` are drawn for training alone: no reported run and no benchmark uses them.
FIRST_SEED = 1_000_000
LAST_SEED = 1_999_999
MANIFEST = "manifest.json"
#: Changes whenever the same seed would give other files.
_FORMAT = 1
_ARM = "hpa-default"  # services without an autoscaler keep their replicas
_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
_DAYS = 364


class CorpusInvalid(Exception):
    """A corpus that cannot be written as asked; the message says why and the fix."""


@dataclass(frozen=True, slots=True)
class CorpusRun:
    """What came of one seed. `error` says why there are no files."""

    seed: int
    found: bool = False  # it was there already
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    manifest: Path
    runs: tuple[CorpusRun, ...]

    @property
    def failed(self) -> tuple[CorpusRun, ...]:
        return tuple(run for run in self.runs if run.error is not None)


def write_corpus(
    out_dir: Path | str,
    runs: int,
    seed: int = FIRST_SEED,
    workers: int | None = None,
    on_done: Callable[[CorpusRun], None] = lambda _: None,
) -> Corpus:
    """Simulates the seeds from `seed` on and writes their files; those that are there already are left alone.

    `workers`: processes, default one per core. Raises `CorpusInvalid`.
    """
    if runs < 1 or not FIRST_SEED <= seed <= seed + runs - 1 <= LAST_SEED:
        raise CorpusInvalid(
            f"seeds {seed} to {seed + runs - 1}: training has those from {FIRST_SEED} to {LAST_SEED}; the others are "
            "kept for reported runs"
        )
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    done: list[CorpusRun] = []
    for run in _perform_all(out, range(seed, seed + runs), workers):
        done.append(run)
        on_done(run)
    return Corpus(_write_manifest(out, done), tuple(done))


def _perform_all(out: Path, seeds: Sequence[int], workers: int | None) -> Iterator[CorpusRun]:
    missing = [seed for seed in seeds if not _is_there(out, seed)]
    yield from (CorpusRun(seed, found=True) for seed in seeds if seed not in set(missing))
    count = min(workers or os.cpu_count() or 1, len(missing))
    if count <= 1:
        yield from (_perform(out, seed) for seed in missing)
        return
    compile_kernels(corpus_scenario(missing[0]).scenario)
    parallel = joblib.Parallel(n_jobs=count, backend="loky", return_as="generator_unordered", pre_dispatch=2 * count)
    yield from parallel(joblib.delayed(_perform)(out, seed) for seed in missing)


def _perform(out: Path, seed: int) -> CorpusRun:
    """Whatever goes wrong in one run is its result: one broken run must not end a corpus."""
    gc.collect()  # a finished world is a ring of objects that nothing else frees
    try:
        record_run(out, seed)
        return CorpusRun(seed)
    except Exception as error:  # noqa: BLE001 – outermost loop of a worker; the failure is reported, not hidden
        return CorpusRun(seed, error=f"{type(error).__name__}: {error}")


def record_run(out: Path, seed: int) -> None:
    """Simulates the scenario of the seed and writes its three files."""
    drawn = corpus_scenario(seed)
    parts = assemble(drawn.scenario, arm_settings(_ARM), seed)
    tape = Tape(parts.world)
    prometheus = Prometheus(parts.world, seed, tape)
    parts.schedule.every(DEMAND_STEP_S, prometheus.first_s, prometheus.scrape)
    parts.schedule.every(DEMAND_STEP_S, prometheus.first_s + READ_AFTER_S, lambda at_s: tape.take(prometheus, at_s))
    parts.schedule.run(parts.world, drawn.scenario.duration_s)
    if parts.world.engine.refused_full:
        raise TooManyInProgress(f"{parts.world.engine.refused_full} requests found no room in the engine")
    began = _began(drawn.scenario, seed)
    # A run in which nothing changed has no table: it would hold times alone.
    tables = [(recording, _table(out, seed, recording.step_s)) for recording in tape.recordings() if recording.signals]
    for recording, path in tables:
        _write_whole(path, _csv(recording, began.timestamp()))
    about = {
        "format": _FORMAT,
        "seed": seed,
        "began": began.isoformat(),
        "arm": _ARM if drawn.hpa else "fixed replicas",
        "files": [
            {"file": path.name, "step_s": recording.step_s, "signals": [asdict(signal) for signal in recording.signals]}
            for recording, path in tables
        ],
        "faults": _faults(parts.world),
        "scenario": drawn.scenario.model_dump(mode="json", exclude_defaults=True),
    }
    _write_whole(_about(out, seed), json.dumps(about) + "\n")


def _began(scenario: Scenario, seed: int) -> datetime:
    """When the run's t = 0 is said to be: on some day of 2024, at the scenario's clock time."""
    hours, minutes = map(int, scenario.starts_at.split(":"))
    return _MONDAY + timedelta(days=seed % _DAYS, hours=hours, minutes=minutes)


def _faults(world: World) -> list[dict[str, Any]]:
    """Every fault with its window in seconds of the run and whom it really hit."""
    return [
        {
            **{key: getattr(truth, key) for key in ("kind", "start_s", "end_s", "predictable", "targets")},
            "service": fault.service,
            "magnitude": fault.size,
            "ramp_s": fault.ramp_s,
        }
        for truth, fault in zip(world.fault_truths, world.scenario.faults, strict=True)
    ]


def _csv(recording: Recording, began_s: float) -> str:
    points = recording.values.shape[1]
    header = ",".join(("TimeStamp", *(signal.column for signal in recording.signals)))
    lines = [header]
    for point, row in zip(range(points), recording.values.T.tolist(), strict=True):
        cells = ("" if value != value else f"{value:.6g}" for value in row)
        lines.append(",".join((f"{began_s + point * recording.step_s:.0f}", *cells)))
    return "\n".join(lines) + "\n"


def _table(out: Path, seed: int, step_s: float) -> Path:
    return out / f"run-{seed}-{step_s:.0f}s.csv"


def _about(out: Path, seed: int) -> Path:
    return out / f"run-{seed}.json"


def _is_there(out: Path, seed: int) -> bool:
    """The seed's description, which is written last, and all files that it names."""
    about = _described(_about(out, seed))
    if about is None or about.get("format") != _FORMAT:
        return False
    return all((out / file["file"]).is_file() for file in about["files"])


def _described(path: Path) -> dict[str, Any] | None:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return about if isinstance(about, dict) else None


def _write_manifest(out: Path, done: Sequence[CorpusRun]) -> Path:
    """Joins the descriptions of all runs in the folder, earlier ones included."""
    described = [_described(path) for path in sorted(out.glob("run-*.json"))]
    runs = sorted((about for about in described if about is not None), key=lambda about: int(about["seed"]))
    failed = [{"seed": run.seed, "error": run.error} for run in done if run.error is not None]
    path = out / MANIFEST
    _write_whole(path, json.dumps({"format": _FORMAT, "runs": runs, "failed": failed}) + "\n")
    return path


def _write_whole(path: Path, text: str) -> None:
    """Never half a file: whoever stops a run in the middle can go on later."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
