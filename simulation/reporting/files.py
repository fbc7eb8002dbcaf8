"""The files of an experiment: timeline.csv, runs.csv, decisions.jsonl and the raw arrays of every run.

A run's share of each is made where the run is (in a worker, compressed for the way back) and put together here.
"""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simulation.reporting.decision_log import decision_log
from simulation.result import RunResult
from simulation.scoring.scoreboard import FIGURES, Score

TIMELINE_COLUMNS = (
    "t_s",
    "arm",
    "seed",
    "service",
    "offered_rps",
    "ok_rps",
    "failed_rps",
    "p50_ms",
    "p99_ms",
    "cpu_utilization",
    "replicas_desired",
    "replicas_ready",
)


@dataclass(frozen=True, slots=True)
class RunFiles:
    """One run's share of the files, compressed."""

    timeline: bytes
    decisions: bytes
    raw: bytes  # an npz


def run_files(result: RunResult) -> RunFiles:
    return RunFiles(
        timeline=zlib.compress(timeline_rows(result).encode(), 1),
        decisions=zlib.compress(decision_rows(result).encode(), 1),
        raw=raw_arrays(result),
    )


def timeline_rows(result: RunResult) -> str:
    """CSV rows of the run without a header, one per second and service; an unknown value is an empty field."""
    seen = result.services
    columns = (
        (seen.offered_rps, 2),
        (seen.ok_rps, 2),
        (seen.failed_rps, 2),
        (seen.p50_ms, 2),
        (seen.p99_ms, 2),
        (seen.cpu_utilization, 4),
        (seen.replicas_desired, 0),
        (seen.replicas_ready, 0),
    )
    texts = [_texts(values, decimals) for values, decimals in columns]
    heads = [f",{result.arm},{result.seed},{service}," for service in seen.services]
    fields = [[",".join(row) for row in zip(*(text[s] for text in texts), strict=True)] for s in range(len(heads))]
    return "".join(
        f"{t}{head}{row}\n"
        for t, rows in enumerate(zip(*fields, strict=True))
        for head, row in zip(heads, rows, strict=True)
    )


def decision_rows(result: RunResult) -> str:
    return "".join(json.dumps(line, allow_nan=False) + "\n" for line in decision_log(result))


def raw_arrays(result: RunResult) -> bytes:
    """What clients saw, the orders, faults, acts and resizes of a run: every figure can be computed again from them."""
    client, orders = result.client, result.orders
    about = {
        "scenario": result.scenario.model_dump(mode="json"),
        "arm": result.arm,
        "seed": result.seed,
        "pod_hours": result.pod_hours,
        "services": result.services.services,
        "staircase_s": result.staircase_s,
        "faults": [asdict(f) for f in result.faults],
        "acts": [asdict(a) for a in result.acts],
        "resizes": [asdict(r) for r in result.resizes],
        "accounting": asdict(result.accounting),
    }
    buffer = io.BytesIO()
    degraded = np.zeros((0, 0), dtype=np.int64) if client.degraded is None else client.degraded
    np.savez_compressed(
        buffer,
        about=np.array(json.dumps(about)),
        classes=np.array(client.classes),
        arrived=client.arrived,
        ok=client.ok,
        slow=client.slow,
        failed=client.failed,
        degraded=degraded,  # empty: unknown
        latency_histogram=client.latency_histogram.astype(np.int32),
        bucket_edges_s=client.bucket_edges_s,
        order_intended_s=orders.intended_s,
        order_acknowledged=orders.acknowledged,
        order_commits=orders.commits,
        pods=result.services.pods.astype(np.float32),
        jain_index=result.jain_index,
    )
    return buffer.getvalue()


class Folder:
    """Where one scenario's files go, those of an earlier experiment replaced. Runs are added as they finish; nothing
    of them is kept in memory."""

    def __init__(self, path: Path, with_timeline: bool = True) -> None:
        self.path = path
        self._raw = path / "raw"
        self._raw.mkdir(parents=True, exist_ok=True)
        for stale in self._raw.glob("*.npz"):
            stale.unlink()
        self._decisions = path / "decisions.jsonl"
        self._decisions.write_text("", encoding="utf-8")
        self._timeline = path / "timeline.csv" if with_timeline else None
        if self._timeline is not None:
            self._timeline.write_text(",".join(TIMELINE_COLUMNS) + "\n", encoding="utf-8")

    def add(self, score: Score, files: RunFiles) -> None:
        with self._decisions.open("ab") as out:
            out.write(zlib.decompress(files.decisions))
        if self._timeline is not None:
            with self._timeline.open("ab") as out:
                out.write(zlib.decompress(files.timeline))
        (self._raw / f"{score.arm}-{score.seed}.npz").write_bytes(files.raw)

    @property
    def written(self) -> tuple[Path, ...]:
        return tuple(p for p in (self._timeline, self._decisions, self._raw) if p is not None)


def write_runs(path: Path, scores: Sequence[Score]) -> None:
    """runs.csv: one row per scenario, arm and seed with every figure; unknown is an empty field."""
    with path.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(("scenario", "arm", "seed", *FIGURES))
        for score in sorted(scores, key=lambda s: (s.scenario, s.seed)):
            rows.writerow((score.scenario, score.arm, score.seed, *(_field(score, f) for f in FIGURES)))


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def _field(score: Score, figure: str) -> str:
    value = getattr(score.figures, figure)
    return "" if value is None else f"{value:.6g}" if value != round(value) else f"{value:.0f}"


def _texts(values: np.ndarray, decimals: int) -> list[list[str]]:
    """Each value as text, rounded; an empty one where unknown. `(services, seconds)` in and out."""
    if decimals == 0:
        return [["" if v != v else str(int(v)) for v in row] for row in values.tolist()]
    return [["" if v != v else str(v) for v in row] for row in np.round(values, decimals).tolist()]
