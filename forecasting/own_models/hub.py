"""Hub models (Chronos-2 through darts) from a local folder: off by default, judged by the same gate.

A process of its own serves each. They give quantiles only; samples are ordered by each series' own past.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from forecasting.forecast import Floats, ForecastRequest
from forecasting.history import History
from forecasting.onnx_session import ModelFailed
from forecasting.own_models.errors import HubModelInvalid
from forecasting.own_models.hub_files import checked_files
from forecasting.own_models.manifest import ModelEntry
from forecasting.packing import packed, unpacked
from forecasting.quantiles import LEVEL_ROW, NORMAL_SCORES

KIND = "chronos2"
WORKER = "forecasting.own_models.hub_worker"
#: What the model reads and foretells: the longest past that stays within a second for tens of series, and our horizon.
INPUT_STEPS, FEWEST_KNOWN, OUTPUT_STEPS = 1024, 64, 64
#: How long a worker may take to load its weights, and to answer.
START_S, ANSWER_S = 300.0, 60.0


def hub_entry(folder: Path, model_id: str, created_at: str) -> ModelEntry:
    """A hub model as the registry holds it, not judged yet."""
    return ModelEntry(
        id=model_id,
        kind=KIND,
        created_at=created_at,
        files=checked_files(folder),
        series=0,
        points=0,
        step_s=0.0,
        until_s=None,
        scores=(),
        hub_folder=str(folder.resolve()),
    )


class HubWorker:
    """The process beside us that runs a hub model. One question at a time; `close` ends it."""

    #: A hub model reads any step length, and no further ahead than this.
    step_s: float | None = None
    input_steps, fewest_known, reach_steps = INPUT_STEPS, FEWEST_KNOWN, OUTPUT_STEPS

    def __init__(self, entry: ModelEntry) -> None:
        """Starts the process; raises `HubModelInvalid` unless the files are those of `entry` and load."""
        folder = Path(entry.hub_folder or "")
        if checked_files(folder) != dict(entry.files):
            raise HubModelInvalid(f"{folder} was changed since it was judged: judge it again, `foresail train --hub`")
        self.name = entry.id
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", WORKER, str(folder), str(INPUT_STEPS), str(OUTPUT_STEPS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        try:
            self._levels: Floats = np.asarray(self._told(START_S)["levels"], dtype=np.float64)
        except ModelFailed as error:
            self.close()
            raise HubModelInvalid(f"{folder} cannot be served: {error}") from error

    def foretold(
        self, request: ForecastRequest, history: History, rng: np.random.Generator
    ) -> tuple[Floats, Floats | None]:
        """Quantiles `(rows, steps, levels)`; no futures. Raises `ModelFailed`."""
        values = np.where(history.known, history.values, np.nan)[:, -INPUT_STEPS:]
        question = json.dumps({"values": packed(values), "steps": request.horizon_steps})
        with self._lock:
            try:
                assert self._process.stdin is not None
                self._process.stdin.write(question + "\n")
                self._process.stdin.flush()
            except OSError as error:
                raise ModelFailed(f"the worker of {self.name} has ended") from error
            answer: Floats = unpacked(self._told(ANSWER_S)["quantiles"])
        return at_our_levels(answer, self._levels), None

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()

    def _told(self, within_s: float) -> dict[str, Any]:
        """The next line of the worker. One that is late is not waited for: its answers could be taken for others."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], within_s)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            self._process.kill()
            raise ModelFailed(f"the worker of {self.name} gave no answer")
        told: dict[str, Any] = json.loads(line)
        if "error" in told:
            raise ModelFailed(str(told["error"]))
        return told


def at_our_levels(quantiles: Floats, levels: Floats) -> Floats:
    """Quantiles `(…, levels)` at `LEVELS`: linear in the normal score between theirs, and on along it beyond them."""
    scores = np.interp(levels, LEVEL_ROW, NORMAL_SCORES)
    ours = np.interp(NORMAL_SCORES, scores, np.arange(scores.size))
    below = np.minimum(ours.astype(np.intp), scores.size - 2)
    # Not the interpolated place but the score itself, so that levels beyond theirs are reached too.
    share = (NORMAL_SCORES - scores[below]) / (scores[below + 1] - scores[below])
    return np.asarray(quantiles[..., below] * (1.0 - share) + quantiles[..., below + 1] * share)
