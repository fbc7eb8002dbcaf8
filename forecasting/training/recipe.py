"""What the default model is trained on, in which shares, and what its card says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forecasting import datasets
from forecasting.series_files import Series, SeriesFileInvalid, read_series
from forecasting.training.export import export
from forecasting.training.loop import CHECKPOINT, Progress, TrainingPlan, TrainingStateInvalid, train
from forecasting.training.network import CONFIGS, Size
from forecasting.training.sources import REUSED, MixedSource, SeriesSource, Source, SyntheticSource, usable
from forecasting.training.windows import TrainingBatch, joined

#: Windows kept aside for the validation score; their seed is never trained on.
VALIDATION_WINDOWS, VALIDATION_SEED = 1024, 987_654_321
#: Share of the simulated shop's series in a batch, when there are any.
CORPUS_SHARE = 0.2


#: Which series are held out of training.
SPLIT_SEED = 20_260


class RecipeInvalid(Exception):
    """What is asked for cannot be trained; the message names the option and the fix."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The options of one run; see `python -m forecasting.training --help`."""

    size: Size
    minutes: float
    seed: int = 0
    threads: int = 2
    data: Path | None = None
    corpus: Path | None = None
    without: tuple[str, ...] = ()
    start_from: Path | None = None
    real_share: float = 0.25
    steps: int | None = None


def run(recipe: Recipe, folder: Path, told: Callable[[str], None]) -> Path:
    """Trains, exports, and returns the path of the card. Raises `RecipeInvalid`."""
    if recipe.minutes <= 0.0:
        raise RecipeInvalid(f"--minutes is {recipe.minutes:g}: give a number above 0")
    if not 0.0 <= recipe.real_share < 1.0:
        raise RecipeInvalid(f"--real-share is {recipe.real_share:g}: give a share from 0 to below 1")
    groups = _real_groups(recipe)
    shop = _corpus(recipe)
    source = _mixed(groups, shop, recipe.real_share, recipe.seed)
    told(f"sources: synthetic, {len(groups)} groups of real series, {len(shop)} series of the simulated shop")
    plan = TrainingPlan(recipe.minutes, recipe.steps, seed=recipe.seed, threads=recipe.threads)
    start_from = None if recipe.start_from is None else recipe.start_from / CHECKPOINT
    if start_from is not None and not start_from.exists():
        raise RecipeInvalid(f"--start-from: {start_from} does not exist: give the folder of a training run")
    seen: list[Progress] = []

    def progress(now: Progress) -> None:
        seen.append(now)
        minutes = now.elapsed_s / 60.0
        total = recipe.minutes if recipe.steps is None else minutes * recipe.steps / max(now.step, 1)
        told(
            f"step {now.step:6d}  {minutes:6.1f} min, {max(0.0, total - minutes):5.1f} left  "
            f"loss {now.loss:.4f}  validation {now.validation:.4f}"
        )

    try:
        network = train(CONFIGS[recipe.size], source, _validation(), plan, folder, progress, start_from)
    except TrainingStateInvalid as error:
        raise RecipeInvalid(str(error)) from error
    card = export(network, folder, _about(recipe, plan, groups, shop, seen[-1]))
    told(f"written: {card}")
    return card


def _real_groups(recipe: Recipe) -> dict[str, tuple[Series, ...]]:
    """Per group the first part of most of its series; the rest is never trained on."""
    if recipe.data is None:
        return {}
    loaded = datasets.trainable(datasets.load_groups(recipe.data))
    unknown = [name for name in recipe.without if name not in loaded]
    if unknown:
        raise RecipeInvalid(
            f"--without: no group {unknown[0]!r} in {recipe.data}: use one of {', '.join(sorted(loaded))}"
        )
    if not loaded:
        raise RecipeInvalid(f"--data: no known data set in {recipe.data}")
    kept, _ = datasets.split_by_series(loaded, SPLIT_SEED)
    cut = {name: tuple(datasets.split_by_time(one)[0] for one in series) for name, series in kept.items()}
    found = {name: usable(series) for name, series in cut.items() if name not in recipe.without}
    return {name: series for name, series in found.items() if series}


def _corpus(recipe: Recipe) -> tuple[Series, ...]:
    if recipe.corpus is None:
        return ()
    files = sorted(recipe.corpus.rglob("*.csv")) + sorted(recipe.corpus.rglob("*.csv.gz"))
    if not files:
        raise RecipeInvalid(f"--corpus: no CSV files in {recipe.corpus}: write them with `foresail corpus --out DIR`")
    try:
        return usable([series for file in files for series in read_series(file)])
    except SeriesFileInvalid as error:
        raise RecipeInvalid(f"--corpus: {error}") from error


def _mixed(groups: dict[str, tuple[Series, ...]], shop: tuple[Series, ...], real_share: float, seed: int) -> Source:
    sources: list[tuple[Source, float]] = []
    if groups:
        sources.append((SeriesSource(groups), real_share))
    if shop:
        sources.append((SeriesSource({"shop": shop}), CORPUS_SHARE))
    return MixedSource(((SyntheticSource(seed), 1.0 - sum(share for _, share in sources)), *sources))


def _validation() -> TrainingBatch:
    source, rng = SyntheticSource(VALIDATION_SEED), np.random.default_rng(VALIDATION_SEED)
    return joined([source.batch(256, part * REUSED, rng) for part in range(VALIDATION_WINDOWS // 256)])


def _about(
    recipe: Recipe, plan: TrainingPlan, groups: dict[str, tuple[Series, ...]], shop: tuple[Series, ...], end: Progress
) -> dict[str, Any]:
    return {
        "name": f"foresail-{recipe.size}",
        "trained_on": {
            "synthetic": True,
            "simulated_shop_series": len(shop),
            "real_groups": {name: len(series) for name, series in sorted(groups.items())},
            "real_share": recipe.real_share if groups else 0.0,
            "left_out": list(recipe.without),
        },
        "data_sets": [asdict(data) for data in datasets.DATA_SETS if any(g in groups for g in data.groups)],
        "training": {
            "minutes": recipe.minutes,
            "threads": plan.threads,
            "seed": plan.seed,
            "steps": end.step,
            "windows": end.step * plan.batch_windows,
            "rate": plan.rate,
            "weight_decay": plan.weight_decay,
            "batch_windows": plan.batch_windows,
            "began_from_other_weights": recipe.start_from is not None,
        },
        "scores": {"loss": end.loss, "validation_pinball": end.validation},
    }
