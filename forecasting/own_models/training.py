"""From the user's series to a folder with a graph and its card, in a given time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from forecasting.onnx_session import sha256_of
from forecasting.own_models.card import (
    GRAPH_FILE,
    ModelCard,
    ModelKind,
    TrainingSummary,
    write_card,
)
from forecasting.own_models.examples import INPUT_STEPS, LONGEST_RECURRENT_INPUT, moments
from forecasting.series_files import Series


def fit(series: Sequence[Series], kind: str, seconds: float, seed: int, out: Path, most_epochs: int = 10_000) -> Path:
    """`out`, which now holds `model.onnx` and `card.json` of a model of `kind` trained on all `series` together.

    Training takes about `seconds`, loading libraries and exporting not counted; `most_epochs` may end it earlier. It is
    seeded, yet the learning rate follows the clock, so that two runs differ a little. Raises `TrainingImpossible` for
    series that are too short, too empty or of different steps.
    """
    started_s = time.monotonic()
    kind = ModelKind(kind)
    usable = moments(series, LONGEST_RECURRENT_INPUT if kind is ModelKind.DEEPAR else INPUT_STEPS[0])
    # Seconds to import: only once it is clear that there is something to train.
    from forecasting.own_models.darts_models import SETTINGS, train
    from forecasting.own_models.onnx_export import export, state_shape

    trained = train(kind, usable, seconds, seed, most_epochs)
    out.mkdir(parents=True, exist_ok=True)
    network = trained.model.model
    export(kind, network, usable.input_steps, usable.output_steps, out / GRAPH_FILE)
    card = ModelCard(
        kind=kind,
        step_s=usable.series[0].step_s,
        input_steps=usable.input_steps,
        output_steps=usable.output_steps,
        wall_clock=all(one.start_at_s is not None for one in series),
        sha256=sha256_of(out / GRAPH_FILE),
        state_shape=state_shape(network) if kind is ModelKind.DEEPAR else None,
        trained=TrainingSummary(
            series=tuple(one.name for one in series),
            points=sum(one.known for one in series),
            seed=seed,
            seconds=round(time.monotonic() - started_s, 1),
            epochs=trained.epochs,
            validation_loss=round(trained.validation_loss, 6),
            settings=SETTINGS[kind],
            libraries={name: version(name) for name in ("darts", "torch", "onnx")},
        ),
    )
    write_card(out, card)
    return out
