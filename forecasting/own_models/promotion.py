"""Train on the user's series, judge against the default, promote what is better, keep the way back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from forecasting.forecast import Forecaster
from forecasting.own_models.card import ModelKind, read_card
from forecasting.own_models.chosen import chosen_forecaster
from forecasting.own_models.gate import SignalScore, before_held_out, held_out_from, judged, require_names, winners
from forecasting.own_models.manifest import Manifest, ModelEntry
from forecasting.own_models.registry import exists, free_id, model_files, read_registry, registered
from forecasting.own_models.runner import OwnModelForecaster
from forecasting.own_models.training import fit
from forecasting.series_files import Series

Tell = Callable[[str], None]
"""Called with what is done next."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train: kinds of models, seconds for all of them together, seed, and when (told, never read here)."""

    kinds: tuple[ModelKind, ...]
    seconds: float
    seed: int
    made_at: str


@dataclass(frozen=True, slots=True)
class HubModel:
    """A hub model that is to be judged, as the registry would hold it."""

    entry: ModelEntry
    forecaster: Forecaster


@dataclass(frozen=True, slots=True)
class Promotion:
    """What came of it: scores of every judged model, older ones included, and the registry as it is now."""

    scores: Mapping[str, tuple[SignalScore, ...]]
    won: Mapping[str, str]
    manifest: Manifest


def train_and_promote(
    series: Sequence[Series],
    plan: Plan,
    folder: Path,
    default: Forecaster,
    hub: Sequence[HubModel] = (),
    tell: Tell = lambda _: None,
) -> Promotion:
    """Adds models to the registry in `folder` and promotes each for the signals on which it beats `default`.

    Models are trained on all but the newest part of the series and judged on that part, as they will be served. Models
    promoted before are judged again beside them, unless they may have seen that part. Hub models stand before the same
    gate. Raises `TrainingImpossible`, `RegistryInvalid`.
    """
    require_names(series)
    before = read_registry(folder) if exists(folder) else Manifest()
    learned_from = before_held_out(series)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".training-") as scratch:
        trained: dict[str, Path] = {}
        for kind in plan.kinds:
            tell(f"training {kind}")
            name = free_id(folder, model_name(kind, plan.made_at))
            trained[name] = fit(learned_from, kind, plan.seconds / len(plan.kinds), plan.seed, Path(scratch) / name)
        candidates: dict[str, Forecaster] = {
            name: OwnModelForecaster.from_folder(own, name) for name, own in trained.items()
        }
        candidates |= {model.entry.id: model.forecaster for model in hub}
        again = _judged_again(before, folder, default, series)
        tell("judging against the default")
        scores = judged({**candidates, **again}, default, series, plan.seed)
        won = winners(scores)
        signals = _signals(before, won, again, series)
        entries = [_entry(name, own, plan.made_at, learned_from, scores[name]) for name, own in trained.items()]
        entries += [replace(model.entry, scores=scores[model.entry.id]) for model in hub]
        manifest = registered(folder, entries, trained, signals, plan.made_at)
    return Promotion(scores, won, manifest)


def _judged_again(
    manifest: Manifest, folder: Path, default: Forecaster, series: Sequence[Series]
) -> dict[str, Forecaster]:
    """Models in use that have seen nothing of what is held out; those of unknown age may have."""
    if manifest.active is None:
        return {}
    first_s = min((_time_s(one, held_out_from(one)) or 0.0 for one in series), default=0.0)
    serving = chosen_forecaster(folder, default)
    return {
        name: model
        for name, model in serving.models.items()
        if name not in serving.refused and (until_s := manifest.model(name).until_s) is not None and until_s < first_s
    }


def _signals(
    manifest: Manifest, won: Mapping[str, str], again: Mapping[str, Forecaster], series: Sequence[Series]
) -> dict[str, str]:
    """What is promoted from now on: what was won, and what was promoted before and not lost in this judgement."""
    asked = {one.name for one in series}
    kept = {signal: name for signal, name in manifest.promoted.items() if signal not in asked or name not in again}
    return {**kept, **won}


def _entry(
    name: str,
    own: Path,
    made_at: str,
    learned_from: Sequence[Series],
    scores: tuple[SignalScore, ...],
) -> ModelEntry:
    card = read_card(own)
    ends = [_time_s(one, one.values.size - 1) for one in learned_from]
    return ModelEntry(
        id=name,
        kind=card.kind,
        created_at=made_at,
        files=model_files(own),
        series=len(learned_from),
        points=card.trained.points,
        step_s=card.step_s,
        until_s=None if None in ends else max(end for end in ends if end is not None),
        scores=scores,
    )


def _time_s(series: Series, point: int) -> float | None:
    return None if series.start_at_s is None else series.start_at_s + point * series.step_s


def model_name(kind: str, made_at: str) -> str:
    """`tide-20261121t135000z`: what a model of this kind made at this time is called."""
    return f"{kind}-{''.join(letter for letter in made_at.lower() if letter.isalnum())}"
