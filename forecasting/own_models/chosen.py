"""Each signal's best forecaster: the model promoted for it where there is one, the default for all others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from forecasting.answer import joined
from forecasting.forecast import Forecast, Forecaster, ForecastRequest
from forecasting.history import Ints
from forecasting.own_models.errors import ModelInvalid, RegistryInvalid
from forecasting.own_models.manifest import ModelEntry
from forecasting.own_models.registry import model_folder, read_registry
from forecasting.own_models.runner import OwnModelForecaster


@dataclass(frozen=True, slots=True)
class ChosenState:
    """The default's state, and that of each model by its name."""

    default: Any
    models: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChosenForecaster:
    """Implements `Forecaster`. `models` are forecasters by name, `promoted` says which of them has which signal.

    The default is asked about everything, always: it learns from every outcome, so that it can take over at once where
    a model fails. Where it had to, the forecast says that it fell back. Futures of signals with different models do not
    belong together: sample k is one coherent future among the signals of each model only.
    """

    default: Forecaster
    models: Mapping[str, Forecaster]
    promoted: Mapping[str, str]

    def forecast(
        self, request: ForecastRequest, state: ChosenState | None, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, ChosenState]:
        before = state or ChosenState(None, {})
        forecast, default_state = self.default.forecast(request, before.default, now_s, rng)
        states = dict(before.models)
        for name, model in self.models.items():
            rows = self._rows_of(name, request)
            if not rows.size:
                continue
            try:
                own, states[name] = model.forecast(request.only(rows), states.get(name), now_s, rng)
            except Exception:  # noqa: BLE001 – whatever a model fails of, the default has answered already
                forecast = replace(forecast, fell_back=True)
                continue
            forecast = joined(forecast, own, rows)
        return forecast, ChosenState(default_state, states)

    def dump(self, state: ChosenState | None) -> Any:
        if state is None:
            return None
        models = {name: self.models[name].dump(one) for name, one in state.models.items() if name in self.models}
        return {"default": self.default.dump(state.default), "models": models}

    def load(self, dumped: Any) -> ChosenState | None:
        if dumped is None:
            return None
        models = {name: self.models[name].load(one) for name, one in dumped["models"].items() if name in self.models}
        return ChosenState(self.default.load(dumped["default"]), models)

    @property
    def refused(self) -> dict[str, str]:
        """Models that are promoted but not served, and why."""
        return {name: model.why for name, model in self.models.items() if isinstance(model, RefusedModel)}

    def _rows_of(self, model: str, request: ForecastRequest) -> Ints:
        chosen = [row for row, name in enumerate(request.series) if self.promoted.get(name) == model]
        return np.asarray(chosen, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class RefusedModel:
    """Stands where a promoted model should be that must not be served: has no forecast, so that the default answers."""

    why: str

    def forecast(
        self, request: ForecastRequest, state: Any, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, Any]:
        raise ModelInvalid(self.why)

    def dump(self, state: Any) -> Any:
        return None

    def load(self, dumped: Any) -> Any:
        return None


def chosen_forecaster(
    folder: Path,
    default: Forecaster,
    threads: int = 1,
    hub: Callable[[ModelEntry], Forecaster] | None = None,
) -> ChosenForecaster:
    """The default with the promoted models of a registry; those that fail a check are `refused`, the rest is served.

    Hub models are off unless `hub` starts their worker (`forecasting.own_models.hub`); the default then has their
    signals. Raises `RegistryInvalid` where the manifest itself cannot be read.
    """
    manifest = read_registry(folder)
    models: dict[str, Forecaster] = {}
    for model_id in sorted(set(manifest.promoted.values())):
        entry = manifest.model(model_id)
        if entry.hub_folder is None:
            models[model_id] = _loaded(folder, entry, threads)
        elif hub is not None:
            models[model_id] = hub(entry)
    return ChosenForecaster(default, models, manifest.promoted)


def _loaded(folder: Path, entry: ModelEntry, threads: int) -> Forecaster:
    try:
        return OwnModelForecaster.from_folder(model_folder(folder, entry), entry.id, threads)
    except (RegistryInvalid, ModelInvalid) as error:
        return RefusedModel(str(error))
