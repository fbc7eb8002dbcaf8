"""A model's card: what a graph is, what it reads, what it was trained on, and the checksum it must have.

Cards are JSON. Whatever is served was read by this module first.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from forecasting.forecast import LEVELS
from forecasting.own_models.errors import ModelInvalid
from forecasting.own_models.windows import COVARIATES

SCHEMA = 1
CARD_FILE, GRAPH_FILE = "card.json", "model.onnx"
LARGEST_CARD_BYTES = 2**20
#: Nothing that could hold a pickle belongs in a model's folder.
REFUSED_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".bin", ".npy", ".npz")


class ModelKind(StrEnum):
    """Which runner a graph needs."""

    TIDE = "tide"  # all steps in one pass
    DEEPAR = "deepar"  # one step at a time, each fed with the sample before it


@dataclass(frozen=True, slots=True)
class TrainingSummary:
    """What a model was trained on, and how: `seconds` are those spent, `epochs` those done."""

    series: tuple[str, ...]
    points: int
    seed: int
    seconds: float
    epochs: int
    validation_loss: float | None
    settings: dict[str, float | int | str] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Everything the runner has to know of a graph.

    It reads `input_steps` points `step_s` apart and foretells `output_steps`. `state_shape` is `(layers, width)` of a
    recurrent graph's state. `wall_clock`: it has learned from the time of day.
    """

    kind: ModelKind
    step_s: float
    input_steps: int
    output_steps: int
    wall_clock: bool
    sha256: str
    trained: TrainingSummary
    state_shape: tuple[int, int] | None = None
    levels: tuple[float, ...] = LEVELS
    covariates: tuple[str, ...] = COVARIATES
    schema: int = SCHEMA


def write_card(folder: Path, card: ModelCard) -> None:
    (folder / CARD_FILE).write_text(json.dumps(asdict(card), indent=1) + "\n", encoding="utf-8")


def read_card(folder: Path) -> ModelCard:
    """The card of a model's folder; raises `ModelInvalid` for anything that `fit` did not make. The graph's checksum
    is for whoever loads it."""
    if not folder.is_dir():
        raise ModelInvalid(f"{folder} is no model's folder: train one with `foresail train`")
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in REFUSED_SUFFIXES:
            raise ModelInvalid(f"{path} is refused: models are ONNX and JSON, never pickles or checkpoints")
    card = _parsed(folder / CARD_FILE)
    _checked(card, folder)
    return card


def _parsed(path: Path) -> ModelCard:
    if not path.is_file():
        raise ModelInvalid(f"{path} is missing: train the model again")
    if path.stat().st_size > LARGEST_CARD_BYTES:
        raise ModelInvalid(f"{path} is too large to be a model's card")
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if raw.get("schema") != SCHEMA:
            raise ModelInvalid(f"{path} has schema {raw.get('schema')!r}; this version reads {SCHEMA}: train again")
        trained = raw.pop("trained")
        state_shape = raw.pop("state_shape")
        return ModelCard(
            **{
                **raw,
                "kind": ModelKind(raw["kind"]),
                "levels": tuple(raw["levels"]),
                "covariates": tuple(raw["covariates"]),
            },
            trained=TrainingSummary(**{**trained, "series": tuple(trained["series"])}),
            state_shape=None if state_shape is None else (int(state_shape[0]), int(state_shape[1])),
        )
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise ModelInvalid(f"{path} is no model's card: {error}") from error


def _checked(card: ModelCard, folder: Path) -> None:
    if card.levels != LEVELS or card.covariates != COVARIATES:
        raise ModelInvalid(f"{folder} was made by another version of Foresail: train again")
    if not (0 < card.input_steps <= 8192 and 0 < card.output_steps <= 1024 and card.step_s > 0.0):
        raise ModelInvalid(f"{folder / CARD_FILE} names sizes that no model of ours has")
    if (card.kind is ModelKind.DEEPAR) != (card.state_shape is not None):
        raise ModelInvalid(f"{folder / CARD_FILE} does not describe a {card.kind} model")
