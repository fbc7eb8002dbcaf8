"""The process that runs a hub model: `python -m forecasting.own_models.hub_worker FOLDER`.

darts and torch take half a gigabyte, and darts' models must not be asked by two threads, so a hub model lives alone.
Each line on stdin is a JSON question, `{"values": packed (rows, points), "steps": n}`; the line that answers it on
stdout is `{"quantiles": packed (rows, steps, levels)}` or `{"error": text}`. The first line tells the levels, or why
the model cannot be served.
Nothing is downloaded and nothing unpickled: weights are safetensors.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from darts import TimeSeries
from darts.models import Chronos2Model
from darts.utils.data.torch_datasets.utils import PLModuleInput
from darts.utils.likelihood_models.torch import QuantileRegression

from forecasting.forecast import Floats
from forecasting.own_models.darts_models import quiet
from forecasting.packing import packed, unpacked

#: Rows of one pass.
BATCH = 32


class HubModel:
    """Chronos-2 of a local folder, asked directly: darts' `predict` costs several times its forward pass."""

    def __init__(self, folder: Path, input_steps: int, output_steps: int) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))["chronos_config"]
        self.levels: list[float] = config["quantiles"]
        with quiet():
            model = Chronos2Model(
                input_chunk_length=min(input_steps, config["context_length"]),
                output_chunk_length=output_steps,
                likelihood=QuantileRegression(self.levels),
                local_dir=folder,
                pl_trainer_kwargs={"accelerator": "cpu", "logger": False, "enable_progress_bar": False},
            )
            # Loads the weights; nothing is trained.
            model.fit(TimeSeries.from_values(np.zeros(input_steps + output_steps, dtype=np.float32)))
        self._network = model.model.eval()
        self._input_steps = model.input_chunk_length

    def quantiles(self, values: Floats, steps: int) -> Floats:
        """`(rows, steps, levels)` after `values` `(rows, points)`, in which NaN are unknown."""
        missing = self._input_steps - values.shape[1]
        if missing > 0:
            values = np.concatenate([np.full((values.shape[0], missing), np.nan), values], axis=1)
        said = []
        for first in range(0, values.shape[0], BATCH):
            # Chronos scales by itself, but in single precision: large levels with small changes would drown in it.
            rows = values[first : first + BATCH, -self._input_steps :]
            centre = np.nanmedian(rows, axis=1, keepdims=True)
            past = torch.from_numpy((rows - centre).astype(np.float32))[:, :, None]
            with torch.inference_mode():
                answer = self._network(PLModuleInput(past_target=past)).prediction[:, :steps, 0]
            said.append(answer.numpy().astype(np.float64) + centre[:, :, None])
        return np.concatenate(said)


def serve(folder: Path, input_steps: int, output_steps: int, questions: TextIO, answers: TextIO) -> None:
    """Answers until `questions` ends."""

    def answer(what: dict[str, Any]) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    try:
        model = HubModel(folder, input_steps, output_steps)
    except Exception as error:  # noqa: BLE001 – a process boundary: told to the other side, which refuses the model
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    answer({"levels": model.levels})
    for line in questions:
        try:
            asked = json.loads(line)
            answer({"quantiles": packed(model.quantiles(unpacked(asked["values"]), asked["steps"]))})
        except Exception as error:  # noqa: BLE001 – the same
            answer({"error": f"{type(error).__name__}: {error}"})


def main() -> None:
    # Whatever libraries print must not look like an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.stdin, answers)


if __name__ == "__main__":
    main()
