"""Training by the clock: seeded, resumable, with a warm-up, a long level stretch and a short descent to zero.

The level stretch is a place to branch from: `train(start_from=…)` continues another run's weights with other data.
What is kept at the end is the running average of the weights.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from forecasting.training.losses import copula_loss, level_weights, normal_scores, pinball_loss
from forecasting.training.network import INPUT_NAMES, ForecastNetwork, NetworkConfig
from forecasting.training.sources import Source
from forecasting.training.windows import TrainingBatch

CHECKPOINT = "checkpoint.pt"
PROGRESS = "progress.jsonl"
#: The copula learns from detached features, so its loss only needs a scale.
COPULA_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What a run is. `minutes` of this machine's time; `descent` is the last share of it, in which the rate falls.

    `steps`: so many steps instead, however long they take, so that any machine repeats a run.
    """

    minutes: float
    steps: int | None = None
    seed: int = 0
    batch_windows: int = 256
    rate: float = 2e-3
    weight_decay: float = 0.02
    warm_up: float = 0.02
    descent: float = 0.35
    average_steps: int = 200
    validate_every_s: float = 300.0
    save_every_s: float = 120.0
    threads: int = 2


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; `validation` is the mean pinball loss on windows kept aside."""

    step: int
    elapsed_s: float
    loss: float
    validation: float | None


class TrainingStateInvalid(Exception):
    """A checkpoint does not fit what is asked for; the message says what to do."""


def train(
    config: NetworkConfig,
    source: Source,
    validation: TrainingBatch,
    plan: TrainingPlan,
    folder: Path,
    told: Callable[[Progress], None],
    start_from: Path | None = None,
) -> ForecastNetwork:
    """The trained network, averaged over the last steps. Continues what `folder` holds; saves into it as it goes."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    network, averaged = ForecastNetwork(config), ForecastNetwork(config)
    averaged.load_state_dict(network.state_dict())
    optimisers = _optimisers(network, plan)
    run = _restored(folder / CHECKPOINT, network, averaged, optimisers, config)
    if run is None:
        if start_from is not None:
            _begin_from(start_from, network, averaged, config)
        run = Progress(0, 0.0, float("nan"), None)
    weights = level_weights()
    began = time.monotonic() - run.elapsed_s
    saved_s = validated_s = run.elapsed_s
    while (done := _done(plan, run.step, time.monotonic() - began)) < 1.0:
        _set_rates(optimisers, plan, done)
        rng = np.random.default_rng((plan.seed, run.step))
        loss = _step(network, source.batch(plan.batch_windows, run.step, rng), optimisers, weights)
        _average(averaged, network, min(1.0 - 1.0 / plan.average_steps, run.step / (run.step + 10.0)))
        smooth = loss if np.isnan(run.loss) else 0.98 * run.loss + 0.02 * loss
        run = Progress(run.step + 1, time.monotonic() - began, smooth, run.validation)
        if run.elapsed_s - validated_s >= plan.validate_every_s or run.step == 20:
            run = replace(run, validation=score(averaged, validation))
            validated_s = run.elapsed_s
            told(run)
            _noted(folder, run)
        if run.elapsed_s - saved_s >= plan.save_every_s:
            _save(folder / CHECKPOINT, network, averaged, optimisers, run, config)
            saved_s = run.elapsed_s
    run = replace(run, validation=score(averaged, validation))
    told(run)
    _noted(folder, run)
    _save(folder / CHECKPOINT, network, averaged, optimisers, run, config)
    return averaged


def score(network: ForecastNetwork, batch: TrainingBatch) -> float:
    """Mean pinball loss over the rows of `batch`, each by its weight."""
    with torch.no_grad():
        quantiles, _ = network(*_inputs(batch))
        rest = (torch.from_numpy(batch.outcomes), torch.from_numpy(batch.known), torch.from_numpy(batch.weights))
        return float(pinball_loss(quantiles, *rest, torch.ones_like(level_weights())))


def load_weights(path: Path, config: NetworkConfig) -> ForecastNetwork:
    """The averaged weights of a checkpoint."""
    network = ForecastNetwork(config)
    _begin_from(path, network, network, config)
    return network


def _done(plan: TrainingPlan, step: int, elapsed_s: float) -> float:
    """Share of the run that is behind us."""
    return elapsed_s / (plan.minutes * 60.0) if plan.steps is None else step / plan.steps


def _step(
    network: ForecastNetwork, batch: TrainingBatch, optimisers: list[torch.optim.Optimizer], weights: Tensor
) -> float:
    outcomes, known = torch.from_numpy(batch.outcomes), torch.from_numpy(batch.known)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        quantiles, copula = network(*_inputs(batch))
    loss = pinball_loss(quantiles, outcomes, known, torch.from_numpy(batch.weights), weights)
    scores = normal_scores(quantiles.detach(), outcomes)
    joint = copula_loss(copula.float(), scores, known.min(dim=1).values > 0.0)
    for optimiser in optimisers:
        optimiser.zero_grad(set_to_none=True)
    (loss + COPULA_SHARE * joint).backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    for optimiser in optimisers:
        optimiser.step()
    return float(loss.detach())


def _inputs(batch: TrainingBatch) -> list[Tensor]:
    return [torch.from_numpy(batch.inputs[name]) for name in INPUT_NAMES]


def _optimisers(network: ForecastNetwork, plan: TrainingPlan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks (Jordan 2024, scaled as Moonshot does), AdamW for the rest."""
    inner = [p for p in network.blocks.parameters() if p.ndim == 2]
    held = {id(p) for p in inner}
    rest = [p for p in network.parameters() if id(p) not in held]
    return [
        torch.optim.Muon(inner, lr=plan.rate, weight_decay=plan.weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=plan.rate, weight_decay=plan.weight_decay, betas=(0.9, 0.98)),
    ]


def _set_rates(optimisers: list[torch.optim.Optimizer], plan: TrainingPlan, done: float) -> None:
    share = min(1.0, (done + 1e-4) / plan.warm_up, max(0.0, 1.0 - done) / plan.descent)
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * share


def _average(averaged: ForecastNetwork, network: ForecastNetwork, keep: float) -> None:
    with torch.no_grad():
        for mean, current in zip(averaged.parameters(), network.parameters(), strict=True):
            mean.lerp_(current, 1.0 - keep)


def _save(
    path: Path,
    network: ForecastNetwork,
    averaged: ForecastNetwork,
    optimisers: list[torch.optim.Optimizer],
    run: Progress,
    config: NetworkConfig,
) -> None:
    state = {
        "config": config.as_json(),
        "network": network.state_dict(),
        "averaged": averaged.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "run": {"step": run.step, "elapsed_s": run.elapsed_s, "loss": run.loss, "validation": run.validation},
    }
    fresh = path.with_suffix(".new")
    torch.save(state, fresh)
    fresh.replace(path)


def _read(path: Path, config: NetworkConfig) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if state["config"] != config.as_json():
        raise TrainingStateInvalid(f"{path} was trained with {state['config']}: use another folder or the same --size")
    return state


def _restored(
    path: Path,
    network: ForecastNetwork,
    averaged: ForecastNetwork,
    optimisers: list[torch.optim.Optimizer],
    config: NetworkConfig,
) -> Progress | None:
    if not path.exists():
        return None
    state = _read(path, config)
    network.load_state_dict(state["network"])
    averaged.load_state_dict(state["averaged"])
    for optimiser, kept in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(kept)
    return Progress(**state["run"])


def _begin_from(path: Path, network: ForecastNetwork, averaged: ForecastNetwork, config: NetworkConfig) -> None:
    state = _read(path, config)
    network.load_state_dict(state["averaged"])
    averaged.load_state_dict(state["averaged"])


def _noted(folder: Path, run: Progress) -> None:
    line = {"step": run.step, "elapsed_s": round(run.elapsed_s, 1), "loss": run.loss, "validation": run.validation}
    with (folder / PROGRESS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
