"""Trained graphs at run time: batched, numpy in and out, no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from forecasting.forecast import Floats, ForecastRequest
from forecasting.history import History
from forecasting.onnx_session import ModelRefused, OnnxSession
from forecasting.own_models.card import GRAPH_FILE, ModelCard, ModelKind, read_card
from forecasting.own_models.errors import ModelInvalid
from forecasting.own_models.windows import LEAST_KNOWN_SHARE, ModelInput, Singles, model_input, stretch_of
from forecasting.quantiles import LEVEL_ROW, empirical_quantiles, monotone

#: Rows × samples of a recurrent graph in one call; more take turns.
LARGEST_BATCH = 16_384
#: Futures that a recurrent graph's quantiles are read from.
FEWEST_SAMPLES = 100
#: A sampled step may leave the range of the past by this much, in scaled units; fed back, it cannot run away.
WALKING_ROOM = 4.0
#: Beyond the outermost level samples follow an exponential tail that ends at this share of its probability.
TAIL_END = 0.1
#: Steps that a recurrent graph walks at most: what it was never trained on, it should not foretell forever.
LONGEST_WALK_STEPS = 256


class Network(Protocol):
    """Scaled quantiles `(rows, steps, levels)`, and futures `(rows, samples, steps)` if the graph knows how steps
    depend on each other."""

    def foretell(self, given: ModelInput, samples: int, rng: np.random.Generator) -> tuple[Floats, Floats | None]: ...


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A graph with its card: history in, quantiles out.

    It reads series of `step_s`, of whose newest `input_steps` points at least `fewest_known` are known, and foretells
    at most `reach_steps`.
    """

    card: ModelCard
    network: Network

    @classmethod
    def from_folder(cls, folder: Path, threads: int) -> OnnxModel:
        """The model in a folder that `fit` made; raises `ModelInvalid` for anything else. Nothing is unpickled."""
        card = read_card(folder)
        try:
            session = OnnxSession(folder / GRAPH_FILE, card.sha256, threads=threads)
        except ModelRefused as error:
            raise ModelInvalid(str(error)) from error
        return cls(card, OnePass(session) if card.kind is ModelKind.TIDE else StepByStep(session, card))

    @property
    def step_s(self) -> float:
        return self.card.step_s

    @property
    def input_steps(self) -> int:
        return self.card.input_steps

    @property
    def fewest_known(self) -> int:
        return round(LEAST_KNOWN_SHARE * self.card.input_steps)

    @property
    def reach_steps(self) -> int:
        return self.card.output_steps if self.card.kind is ModelKind.TIDE else LONGEST_WALK_STEPS

    def foretold(
        self, request: ForecastRequest, history: History, rng: np.random.Generator
    ) -> tuple[Floats, Floats | None]:
        """Quantiles `(rows, steps, levels)` and, if the model has any, joint futures `(rows, samples, steps)`."""
        values = np.where(history.known, history.values, np.nan)
        steps = self.card.output_steps if self.card.kind is ModelKind.TIDE else request.horizon_steps
        given = model_input(stretch_of(request, history.rows, values, self.card.input_steps, steps))
        quantiles, futures = self.network.foretell(given, request.samples, rng)
        return given.scaling.restored(quantiles[:, : request.horizon_steps]), futures


class OnePass:
    """TiDE: the quantiles of all steps at once, and no dependence between them."""

    def __init__(self, session: OnnxSession) -> None:
        self._session = session

    def foretell(self, given: ModelInput, samples: int, rng: np.random.Generator) -> tuple[Floats, Floats | None]:
        inputs = {"target": given.target, "past": given.past, "future": given.future}
        return monotone(self._session.run(inputs)[0].astype(np.float64)), None


class StepByStep:
    """Recurrent: reads the past once, then walks every sample of every row into the future together."""

    def __init__(self, session: OnnxSession, card: ModelCard) -> None:
        assert card.state_shape is not None
        self._session, self._state_shape = session, card.state_shape

    def foretell(self, given: ModelInput, samples: int, rng: np.random.Generator) -> tuple[Floats, Floats | None]:
        count = max(samples, FEWEST_SAMPLES)
        rows = given.target.shape[0]
        block = max(1, LARGEST_BATCH // count)
        walked = [self._walked(_part(given, first, first + block), count, rng) for first in range(0, rows, block)]
        futures = np.concatenate(walked).astype(np.float64)
        return empirical_quantiles(futures.swapaxes(1, 2)), futures[:, :samples]

    def _walked(self, given: ModelInput, samples: int, rng: np.random.Generator) -> Singles:
        """`(rows, samples, steps)`."""
        layers, width = self._state_shape
        rows, steps = given.target.shape[0], given.future.shape[1]
        # The graph reads a value together with what is known of the step after it.
        ahead = np.concatenate([given.past[:, 1:], given.future[:, :1]], axis=1)
        state = np.zeros((layers, rows, width), dtype=np.float32)
        quantiles, state = self._session.run({"target": given.target, "covariates": ahead, "state": state})
        lowest = given.target.min(axis=1) - WALKING_ROOM
        highest = given.target.max(axis=1) + WALKING_ROOM
        futures = np.empty((rows, samples, steps), dtype=np.float32)
        quantiles, state = np.repeat(quantiles, samples, axis=0), np.repeat(state, samples, axis=1)
        for step in range(steps):
            drawn = sampled(quantiles, _even_levels(rows, samples, rng)).reshape(rows, samples)
            futures[:, :, step] = np.clip(drawn, lowest, highest)
            if step + 1 < steps:
                quantiles, state = self._session.run(
                    {
                        "target": futures[:, :, step].reshape(rows * samples, 1, 1),
                        "covariates": np.repeat(given.future[:, step + 1 : step + 2], samples, axis=0),
                        "state": state,
                    }
                )
        return futures


def sampled(quantiles: Singles, levels: Singles) -> Singles:
    """The value of each row's distribution at its level: `quantiles` `(rows, 25)`, `levels` `(rows,)`.

    Linear between levels. Quantiles that cross need no rearranging here: a random level of a row draws from the same
    distribution either way.
    """
    place = np.interp(levels, LEVEL_ROW, np.arange(LEVEL_ROW.size))
    below = np.minimum(place.astype(np.intp), LEVEL_ROW.size - 2)
    rows = np.arange(quantiles.shape[0])
    low, high = quantiles[rows, below], quantiles[rows, below + 1]
    drawn = low + (place - below) * (high - low)
    for tail, outer, inner in ((levels, 0, 2), (1.0 - levels, -1, -3)):
        edge, further_in = min(LEVEL_ROW[outer], 1.0 - LEVEL_ROW[outer]), min(LEVEL_ROW[inner], 1.0 - LEVEL_ROW[inner])
        beyond = np.flatnonzero(tail < edge)
        reach = np.log(edge / np.maximum(tail[beyond], TAIL_END * edge)) / np.log(further_in / edge)
        drawn[beyond] += reach * (quantiles[beyond, outer] - quantiles[beyond, inner])
    return np.asarray(drawn, dtype=np.float32)


def _even_levels(rows: int, samples: int, rng: np.random.Generator) -> Singles:
    """One level for every sample, `(rows · samples,)`: one in each of `samples` equal parts, in random order, so that
    the samples of a row are as spread as its distribution."""
    strata = rng.permuted(np.broadcast_to(np.arange(samples, dtype=np.float32), (rows, samples)), axis=1)
    levels = (strata + rng.random((rows, samples), dtype=np.float32)) / samples
    return np.asarray(levels, dtype=np.float32).reshape(-1)


def _part(given: ModelInput, first: int, last: int) -> ModelInput:
    rows = slice(first, last)
    return ModelInput(given.target[rows], given.past[rows], given.future[rows], given.scaling)
