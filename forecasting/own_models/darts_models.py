"""darts models on our own windows: their sizes, their datasets, and training that ends by the clock.

darts cuts and scales whole series by itself; here it is given finished windows instead, so that training sees exactly
what serving sees. Only this module and `onnx_export` know darts and torch.
"""

from __future__ import annotations

import logging
import math
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from darts.models import RNNModel, TiDEModel
from darts.models.forecasting.torch_forecasting_model import TorchForecastingModel
from darts.utils.data import ShiftedTorchTrainingDataset
from darts.utils.data.torch_datasets.training_dataset import TorchTrainingDataset
from darts.utils.data.torch_datasets.utils import TorchTrainingSample
from darts.utils.likelihood_models.torch import QuantileRegression
from pytorch_lightning import Callback, LightningModule, Trainer

from forecasting.forecast import LEVELS
from forecasting.own_models.card import ModelKind
from forecasting.own_models.examples import Moments
from forecasting.own_models.windows import COVARIATES, Examples

MEASURED = COVARIATES.index("measured")
BATCH = 64
#: Windows between two looks at the validation loss.
EPOCH_WINDOWS = 2048
#: Looks without an improvement after which training ends.
PATIENCE = 12
LEARNING_RATE = 2e-3
#: The learning rate falls to this share along half a cosine of the time given.
LAST_RATE_SHARE = 0.02
SETTINGS: dict[ModelKind, dict[str, float | int | str]] = {
    ModelKind.TIDE: {
        "hidden_size": 128,
        "num_encoder_layers": 2,
        "num_decoder_layers": 1,
        "decoder_output_dim": 2,
        "temporal_decoder_hidden": 64,
        "temporal_width_future": 4,
        "dropout": 0.1,
        "use_layer_norm": True,
    },
    ModelKind.DEEPAR: {"model": "GRU", "hidden_dim": 48, "n_rnn_layers": 1},
}


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained darts model and how its training went."""

    model: TorchForecastingModel
    epochs: int
    validation_loss: float


def train(kind: ModelKind, moments: Moments, seconds: float, seed: int, most_epochs: int = 10_000) -> Trained:
    """A model of `kind` with the weights that did best in validation, trained for at most `seconds`.

    Quiet: nothing is printed, logged or left on disk.
    """
    clock = _ByTheClock(moments, np.random.default_rng(seed), kind, seconds)
    with quiet(), tempfile.TemporaryDirectory() as scratch:
        model = _untrained(kind, moments, seed, clock, scratch)
        model.fit_from_dataset(
            clock.shown,
            val_dataset=_Shown(kind, moments.validation()),
            epochs=most_epochs,
            verbose=False,
            dataloader_kwargs={"shuffle": False, "pin_memory": False},
        )
        clock.restore_best(model.model)
    return Trained(model, clock.epochs, clock.best_loss)


class _Shown(ShiftedTorchTrainingDataset):  # type: ignore[misc]
    """Examples as darts' data loader wants them."""

    #: darts' recurrent models insist on a dataset whose output is its input one step later.
    shift = 1

    def __init__(self, kind: ModelKind, shown: Examples) -> None:
        TorchTrainingDataset.__init__(self)
        self._kind = kind
        self.examples = shown

    def __len__(self) -> int:
        return int(self.examples.outcome.shape[0])

    def __getitem__(self, index: int) -> TorchTrainingSample:
        given = self.examples.given
        past, future = given.target[index], self.examples.outcome[index, :, None]
        weight = self.examples.known[index, :, None].astype(np.float32)
        if self._kind is ModelKind.TIDE:
            return TorchTrainingSample(
                past_target=past,
                historic_future_covariates=given.past[index],
                future_covariates=given.future[index],
                future_target=future,
                sample_weight=weight,
            )
        # Step by step: the target is the input one step later, and so is what is known of that step.
        whole = np.concatenate([past, future])
        covariates = np.concatenate([given.past[index], given.future[index]])
        weights = np.concatenate([given.past[index, :, MEASURED, None], weight])
        return TorchTrainingSample(
            past_target=whole[:-1],
            historic_future_covariates=covariates[:-1],
            future_covariates=covariates[1:],
            future_target=whole[1:],
            sample_weight=weights[1:],
        )


class _ByTheClock(Callback):
    """Lowers the learning rate with the time that is left, keeps the best weights, ends when time or hope is over."""

    def __init__(self, moments: Moments, rng: np.random.Generator, kind: ModelKind, seconds: float) -> None:
        self._moments, self._rng, self._seconds = moments, rng, seconds
        self._started_s = time.monotonic()
        self.shown = _Shown(kind, moments.drawn(EPOCH_WINDOWS, rng))
        self._best: dict[str, torch.Tensor] | None = None
        self._since_best = 0
        self.best_loss, self.epochs = math.inf, 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.epochs:
            self.shown.examples = self._moments.drawn(EPOCH_WINDOWS, self._rng)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        share = min((time.monotonic() - self._started_s) / self._seconds, 1.0)
        rate = LEARNING_RATE * max(LAST_RATE_SHARE, 0.5 * (1.0 + math.cos(math.pi * share)))
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        if share >= 1.0:
            trainer.should_stop = True

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.epochs += 1
        loss = float(trainer.callback_metrics["val_loss"])
        if loss < self.best_loss:
            self.best_loss, self._since_best = loss, 0
            self._best = {name: value.detach().clone() for name, value in pl_module.state_dict().items()}
            return
        self._since_best += 1
        if self._since_best >= PATIENCE:
            trainer.should_stop = True

    def restore_best(self, network: LightningModule) -> None:
        if self._best is not None:
            network.load_state_dict(self._best)


def _untrained(kind: ModelKind, moments: Moments, seed: int, clock: _ByTheClock, scratch: str) -> TorchForecastingModel:
    settings: dict[str, Any] = dict(SETTINGS[kind])
    settings |= {
        "input_chunk_length": moments.input_steps,
        "likelihood": QuantileRegression(list(LEVELS)),
        "batch_size": BATCH,
        "optimizer_kwargs": {"lr": LEARNING_RATE},
        "random_state": seed,
        "work_dir": scratch,
        "pl_trainer_kwargs": {
            "accelerator": "cpu",
            "default_root_dir": scratch,
            "num_sanity_val_steps": 0,
            "enable_model_summary": False,
            "enable_progress_bar": False,
            "gradient_clip_val": 1.0,
            "callbacks": [clock],
        },
    }
    if kind is ModelKind.TIDE:
        return TiDEModel(output_chunk_length=moments.output_steps, **settings)
    return RNNModel(training_length=moments.input_steps + moments.output_steps - 1, **settings)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the libraries' progress, tips and warnings to themselves; errors pass."""
    names = ("pytorch_lightning", "lightning.pytorch", "darts", "torch.onnx")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
