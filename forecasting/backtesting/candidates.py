"""The forecasters that can be compared, by name.

A candidate is made once per group from what lies before the group's first origin; only models that are trained on the
user's own history look at it. `NAME@independent`, `@comonotone` and `@schaake` judge the same quantiles with other
samples; `foresail@copula` with those of the network's own copula.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forecasting.backtesting.classical import ClassicalForecaster, Model
from forecasting.backtesting.errors import CandidateUnknown
from forecasting.backtesting.naive import random_walk, seasonal_naive
from forecasting.backtesting.path_makers import PATH_MAKERS, PathMaker, WithPaths
from forecasting.backtesting.predict_linear import predict_linear
from forecasting.backtesting.prophet_like import prophet_like
from forecasting.fallback import FallbackForecaster
from forecasting.forecast import Forecaster
from forecasting.series_files import Series

if TYPE_CHECKING:
    from forecasting.serving import Ranks

REFERENCE = "seasonal-naive"
OURS = "foresail"


@dataclass(frozen=True, slots=True)
class Training:
    """How models on the user's own history are trained: seconds for each group, seed, and a folder for their files."""

    seconds: float
    seed: int
    folder: Path


Factory = Callable[[str, Sequence[Series], Training], Forecaster]
"""Group, what is known before its first origin, training → forecaster. May raise `CandidateUnavailable`."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """`learns`: what it says depends on what came of its forecasts before."""

    name: str
    made: Factory
    learns: bool = True


def _classical(name: str, model: Callable[[], Model]) -> Factory:
    return lambda group, history, training: ClassicalForecaster(name, model())


def _holt_winters() -> Model:
    from forecasting.backtesting.holt_winters import holt_winters  # compiles at its first use

    return holt_winters


def _auto_theta() -> Model:
    from forecasting.backtesting.statistical import auto_theta

    return auto_theta()


def _auto_ets() -> Model:
    from forecasting.backtesting.statistical import auto_ets

    return auto_ets()


def _mstl() -> Model:
    from forecasting.backtesting.statistical import mstl

    return mstl()


def _fallback(group: str, history: Sequence[Series], training: Training) -> Forecaster:
    return FallbackForecaster()


def _network(folder: Path | None = None, calibrated: bool = True, ranks: Ranks = "past") -> Factory:
    def made(group: str, history: Sequence[Series], training: Training) -> Forecaster:
        from forecasting.serving import default_forecaster  # loads its runtime

        return default_forecaster(folder, calibrated=calibrated, ranks=ranks)

    return made


def _own_model(kind: str) -> Factory:
    def made(group: str, history: Sequence[Series], training: Training) -> Forecaster:
        from forecasting.backtesting.trained import trained_per_step

        folder = training.folder / kind / "".join(c if c.isalnum() or c in "-_." else "_" for c in group)
        return trained_per_step(kind, history, training.seconds, training.seed, folder)

    return made


_FACTORIES: dict[str, Factory] = {
    REFERENCE: _classical(REFERENCE, lambda: seasonal_naive),
    "random-walk": _classical("random-walk", lambda: random_walk),
    "holt-winters": _classical("holt-winters", _holt_winters),
    "predict-linear": _classical("predict-linear", lambda: predict_linear),
    "foresail-fallback": _fallback,
    OURS: _network(),
    "foresail-uncalibrated": _network(calibrated=False),
    "prophet-like": _classical("prophet-like", lambda: prophet_like),
    "auto-theta": _classical("auto-theta", _auto_theta),
    "mstl": _classical("mstl", _mstl),
    "auto-ets": _classical("auto-ets", _auto_ets),
    "tide": _own_model("tide"),
    "deepar": _own_model("deepar"),
}
NAMES: tuple[str, ...] = tuple(_FACTORIES)
#: Candidates of the release's weights, and whether they are calibrated.
_NETWORKS = {OURS: True, "foresail-uncalibrated": False}
#: They say the same whatever came of what they said before.
STATELESS = frozenset(NAMES) - {*_NETWORKS, "foresail-fallback", "tide", "deepar"}
#: Quick enough to be judged on a few files in less than a minute.
CHEAP: tuple[str, ...] = (REFERENCE, "random-walk", "holt-winters", "predict-linear", "foresail-fallback", OURS)
FOLDER_PREFIX = "onnx:"
COPULA = "copula"


def candidates_named(text: str) -> tuple[Candidate, ...]:
    """The candidates in a comma-separated list, each once, the reference first; `all` is every one.

    Raises `CandidateUnknown`.
    """
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    if not wanted:
        raise CandidateUnknown(f"no model is named: give at least one, like {REFERENCE},{OURS}, or all")
    named = [inner for name in wanted for inner in (NAMES if name == "all" else (name,))]
    return tuple(candidate(name) for name in dict.fromkeys([REFERENCE, *named]))


def candidate(name: str) -> Candidate:
    """The candidate of one name. Raises `CandidateUnknown`."""
    base, _, paths = name.partition("@")
    if paths and paths not in (*PATH_MAKERS, COPULA):
        raise CandidateUnknown(f"{name}: no way to draw samples is called {paths!r}: use {', '.join(PATH_MAKERS)}")
    factory = _factory(base, "copula" if paths == COPULA else "past")
    if paths in PATH_MAKERS:
        return Candidate(name, _with_paths(factory, PATH_MAKERS[paths]), base not in STATELESS)
    return Candidate(name, factory, base not in STATELESS)


def _factory(base: str, ranks: Ranks) -> Factory:
    if base.startswith(FOLDER_PREFIX):
        folder = Path(base.removeprefix(FOLDER_PREFIX))
        if not folder.is_dir():
            raise CandidateUnknown(f"{base}: {folder} is no folder; give one that holds exported weights")
        return _network(folder, ranks=ranks)
    if base in _NETWORKS:
        return _network(calibrated=_NETWORKS[base], ranks=ranks)
    if ranks == "copula":
        raise CandidateUnknown(f"{base} has no copula: only {', '.join(_NETWORKS)} and {FOLDER_PREFIX}FOLDER have")
    if base not in _FACTORIES:
        known = ", ".join(NAMES)
        raise CandidateUnknown(f"no model is called {base!r}: use all, {FOLDER_PREFIX}FOLDER or some of {known}")
    return _FACTORIES[base]


def _with_paths(factory: Factory, paths: PathMaker) -> Factory:
    return lambda group, history, training: WithPaths(factory(group, history, training), paths)
