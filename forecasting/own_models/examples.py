"""Which moments of the user's series a model learns from, and which it is validated on. Numpy only, seeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.forecast import Floats
from forecasting.history import Bools, Ints
from forecasting.own_models.errors import TrainingImpossible
from forecasting.own_models.windows import LEAST_KNOWN_SHARE, Examples, examples
from forecasting.series_files import Series

#: Steps that every model foretells, unless series are too short for it.
OUTPUT_STEPS = 64
#: Lengths of the past a model may read; the longest that half of the series can fill is taken.
INPUT_STEPS = (256, 128, 64, 32)
#: A recurrent model is trained and walks step by step; beyond this its past costs more than it tells.
LONGEST_RECURRENT_INPUT = 128
#: The newest share of each series' moments is for validation: training stops where it stops helping there.
VALIDATION_SHARE = 0.12
VALIDATION_WINDOWS = 256


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments of several series that can be learned from: the place of each one's series and its last known point.

    A moment is usable when enough is known around it. `fresh` are those for validation: their outcomes lie after
    the outcomes of all others of the same series.
    """

    series: tuple[Series, ...]
    input_steps: int
    output_steps: int
    rows: Ints
    origins: Ints
    fresh: Bools

    def drawn(self, count: int, rng: np.random.Generator) -> Examples:
        """Examples to learn from: a series at random, then one of its moments."""
        candidates = np.flatnonzero(~self.fresh)
        rows, first = np.unique(self.rows[candidates], return_index=True)
        counts = np.diff(np.append(first, candidates.size))
        which = rng.integers(rows.size, size=count)
        place = first[which] + (rng.random(count) * counts[which]).astype(np.intp)
        return self._examples(candidates[place])

    def validation(self) -> Examples:
        """The same examples each time, spread evenly over all fresh moments."""
        candidates = np.flatnonzero(self.fresh)
        spread = np.linspace(0, candidates.size - 1, min(VALIDATION_WINDOWS, candidates.size)).astype(np.intp)
        return self._examples(candidates[spread])

    def _examples(self, chosen: Ints) -> Examples:
        return examples(self.series, self.rows[chosen], self.origins[chosen], self.input_steps, self.output_steps)


def moments(series: Sequence[Series], longest_input: int = INPUT_STEPS[0]) -> Moments:
    """Usable moments of all series, for pasts of at most `longest_input` steps.

    Raises `TrainingImpossible` where there are too few, or steps differ.
    """
    if not series:
        raise TrainingImpossible("no series were given to train on")
    steps_s = sorted({one.step_s for one in series})
    if len(steps_s) > 1:
        raise TrainingImpossible(f"one model needs one step length, these have {_listed(steps_s)} s: use --step-s")
    input_steps, output_steps = _sizes([one.values.size for one in series], longest_input)
    found = [_usable(one.values, input_steps, output_steps) for one in series]
    rows = np.concatenate([np.full(origins.size, place, dtype=np.intp) for place, (origins, _) in enumerate(found)])
    origins = np.concatenate([origins for origins, _ in found])
    fresh = np.concatenate([fresh for _, fresh in found])
    if not fresh.any() or fresh.all():
        raise TrainingImpossible(
            f"too little is known to learn from: no stretch of {input_steps} + {output_steps} steps is at least "
            f"half complete; give longer histories"
        )
    return Moments(tuple(series), input_steps, output_steps, rows, origins, fresh)


def _sizes(points: Sequence[int], longest_input: int) -> tuple[int, int]:
    """Input and output steps so that half of the series hold at least two whole stretches."""
    typical = sorted(points)[len(points) // 2]
    for input_steps in (steps for steps in INPUT_STEPS if steps <= longest_input):
        output_steps = min(OUTPUT_STEPS, 2 * input_steps)
        if typical >= 2 * (input_steps + output_steps):
            return input_steps, output_steps
    raise TrainingImpossible(
        f"half of the series have at most {typical} points; at least {2 * (INPUT_STEPS[-1] + OUTPUT_STEPS)} are needed"
    )


def _usable(values: Floats, input_steps: int, output_steps: int) -> tuple[Ints, Bools]:
    """Origins of one series around which at least half of the past and of the future is known; which are fresh."""
    running = np.concatenate([[0], np.cumsum(np.isfinite(values))])
    origins = np.arange(input_steps - 1, values.size - output_steps)
    before = running[origins + 1] - running[origins + 1 - input_steps]
    after = running[origins + 1 + output_steps] - running[origins + 1]
    enough = (before >= LEAST_KNOWN_SHARE * input_steps) & (after >= LEAST_KNOWN_SHARE * output_steps)
    split = values.size - max(output_steps, round(VALIDATION_SHARE * values.size))
    # Between both lie moments whose outcomes would be in both.
    settled = (origins + output_steps < split) | (origins >= split - 1)
    origins = origins[enough & settled]
    return origins, np.asarray(origins >= split - 1)


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
