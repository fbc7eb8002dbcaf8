"""The default generative model at run time: history in, quantiles and the dependence of steps out, all rows at once.

Horizons beyond one pass are rolled out: a few futures of the first pass, each at one level throughout, are taken as
history, and what the next pass says after each of them is mixed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from forecasting.features import (
    ANCHORS,
    COARSE_BUCKETS,
    CONTEXT_STEPS,
    HORIZON_STEPS,
    LONGEST_CONTEXT,
    Features,
    Window,
    features,
)
from forecasting.forecast import LEVELS, Floats, ForecastRequest
from forecasting.history import History, Ints
from forecasting.onnx_session import ModelFailed, ModelRefused, OnnxSession
from forecasting.quantiles import MEDIAN

CARD_FILE = "card.json"
#: Rows of one pass of the network: more are no faster, and onnxruntime keeps the memory of the largest pass.
ROWS_AT_ONCE = 16
#: Levels of the futures that a roll-out follows; each stands for a fifth of all futures.
FOLLOWED_LEVELS = (0.10, 0.30, 0.50, 0.70, 0.90)
#: Fewer known points than this are not what the network was trained on.
FEWEST_KNOWN = 12


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a model says of some rows: quantiles `(rows, steps, levels)`, not calibrated yet, and about their past.

    `season` `(rows,)` is the cycle in steps, 0 for none; `lines` `(rows, steps, 2)` are the lowest and highest of the
    trends seen in the past. `copula` `(rows, steps, parameters)` is the learned dependence of steps, as the network
    gives it.
    """

    quantiles: Floats
    season: Ints
    lines: Floats
    copula: Floats


@dataclass(frozen=True, slots=True)
class NetworkModel:
    """The network of a folder with `card.json` and the file it names. May be asked by several threads."""

    name: str
    card: dict[str, Any]
    session: OnnxSession

    @classmethod
    def from_folder(cls, folder: Path, threads: int = 2) -> NetworkModel:
        """Raises `ModelRefused` if the card does not fit this version or the file does not fit the card."""
        card = _card(folder / CARD_FILE)
        # A pass is too small to be divided between cores: two at once take half the time, one on two takes all of it.
        session = OnnxSession(folder / str(card["file"]), str(card["sha256"]), threads=1, at_once=threads)
        return cls(str(card["name"]), card, session)

    def outlook(self, request: ForecastRequest, history: History) -> Outlook:
        """Quantiles of the rows of `history` over the whole horizon. Raises `ModelFailed`."""
        count = history.rows.size
        blocks = [np.arange(first, min(first + ROWS_AT_ONCE, count)) for first in range(0, count, ROWS_AT_ONCE)]
        parts = self.session.each(lambda rows: self._outlook(request, history.only(rows)), blocks)
        return Outlook(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("quantiles", "season", "lines", "copula")
            )
        )

    def _outlook(self, request: ForecastRequest, history: History) -> Outlook:
        first, seen, copula = self._one_pass(request, history, 0)
        quantiles = [first]
        done = HORIZON_STEPS
        while done < request.horizon_steps:
            quantiles.append(self._rolled_out(request, history, np.concatenate(quantiles, axis=1), done))
            done += HORIZON_STEPS
        steps = request.horizon_steps
        lines = _lines(seen)
        if steps > HORIZON_STEPS:
            lines = np.concatenate([lines, np.repeat(lines[:, -1:], steps - HORIZON_STEPS, axis=1)], axis=1)
            copula = np.concatenate([copula, np.repeat(copula[:, -1:], steps - HORIZON_STEPS, axis=1)], axis=1)
        whole = np.concatenate(quantiles, axis=1)[:, :steps]
        return Outlook(whole, seen.season, lines[:, :steps], copula[:, :steps])

    def _rolled_out(self, request: ForecastRequest, history: History, so_far: Floats, done: int) -> Floats:
        """Quantiles of the next pass, mixed over the futures that the ones before may have taken."""
        places = [LEVELS.index(level) for level in FOLLOWED_LEVELS]
        said = []
        for place in places:
            values = np.concatenate([history.values, so_far[:, :, place]], axis=1)
            known = np.concatenate([history.known, np.ones(so_far.shape[:2], dtype=bool)], axis=1)
            future = replace(history, values=values[:, -LONGEST_CONTEXT:], known=known[:, -LONGEST_CONTEXT:])
            said.append(self._one_pass(request, future, done)[0])
        mixed = np.sort(np.concatenate(said, axis=2), axis=2)
        ranks = np.asarray(LEVELS) * mixed.shape[2] - 0.5
        below = np.clip(np.floor(ranks).astype(np.intp), 0, mixed.shape[2] - 2)
        share = np.clip(ranks - below, 0.0, 1.0)
        quantiles = mixed[:, :, below] * (1.0 - share) + mixed[:, :, below + 1] * share
        # A few smooth futures tell too little apart: later steps are no surer than the last one that was seen whole.
        last, middle = so_far[:, -1:, :], quantiles[:, :, MEDIAN, None]
        reach = last - last[:, :, MEDIAN, None]
        away = quantiles - middle
        return np.asarray(middle + np.where(np.abs(away) > np.abs(reach), away, reach))

    def _one_pass(self, request: ForecastRequest, history: History, done: int) -> tuple[Floats, Features, Floats]:
        made = features(window_of(request, history, done))
        quantiles, copula = self.session.run(made.inputs())[:2]
        if quantiles.shape != (history.rows.size, HORIZON_STEPS, len(LEVELS)):
            raise ModelFailed(f"{self.name} answered {quantiles.shape}")
        restored = made.scaling.restored(quantiles.astype(np.float64))
        still = ~history.known.any(axis=1) | (history.values.min(axis=1) == history.values.max(axis=1))
        # What has never changed has no scale; anything but the same again would be made up.
        restored[still] = history.values[still, -1][:, None, None]
        return restored, made, copula.astype(np.float64)


def window_of(request: ForecastRequest, history: History, done: int = 0) -> Window:
    """The history as the features read it, `done` steps of the horizon being part of it."""
    rows = history.rows
    return Window(
        values=history.values,
        known=history.known,
        step_s=np.full(rows.size, request.step_s),
        last_at_s=np.full(rows.size, request.last_at_s + done * request.step_s),
        wall_clock=np.full(rows.size, request.wall_clock),
        day=_ahead(request.same_time_yesterday, rows, done),
        week=_ahead(request.same_time_last_week, rows, done),
        event_log=np.zeros((rows.size, history.values.shape[1] + HORIZON_STEPS)),
        demand=history.demand,
    )


def _ahead(given: Floats | None, rows: Ints, done: int) -> Floats:
    """The 64 steps of another day after the first `done`, NaN where they were not given."""
    ahead = np.full((rows.size, HORIZON_STEPS), np.nan)
    if given is not None:
        part = np.asarray(given, dtype=np.float64)[rows, done : done + HORIZON_STEPS]
        ahead[:, : part.shape[1]] = np.where(np.isfinite(part), part, np.nan)
    return ahead


def _lines(seen: Features) -> Floats:
    """Lowest and highest of the anchors that go on along a trend, `(rows, steps, 2)`."""
    trended = [place for place, name in enumerate(ANCHORS) if name.startswith("line")]
    lines = seen.scaling.restored(seen.anchors[:, :, trended].astype(np.float64))
    return np.stack([lines.min(axis=2), lines.max(axis=2)], axis=2)


def _card(path: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelRefused(f"{path}: no readable model card: {error}") from error
    expected = {
        "levels": list(LEVELS),
        "anchors": list(ANCHORS),
        "horizon_steps": HORIZON_STEPS,
        "context_steps": CONTEXT_STEPS,
        "coarse_buckets": COARSE_BUCKETS,
    }
    for key, value in expected.items():
        if not isinstance(card, dict) or card.get(key) != value:
            raise ModelRefused(f"{path}: {key} does not fit this version: train the model again")
    file = card.get("file")
    if not isinstance(file, str) or Path(file).name != file or not file.endswith(".onnx"):
        raise ModelRefused(f"{path}: file must be the name of an .onnx file beside the card, not {file!r}")
    return card
