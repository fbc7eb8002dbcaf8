"""`foresail train`: models on the user's own history, promoted for the signals on which they beat the default."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foresail.commands.comma_list import comma_list
from foresail.commands.mistakes import make_folder, refuse

if TYPE_CHECKING:
    from forecasting.own_models.card import ModelKind
    from forecasting.own_models.promotion import HubModel, Promotion
    from forecasting.series_files import Series

REGISTRY = Path("models")
#: What people may call the autoregressive model.
ALIASES = {"autoregressive": "deepar"}
MORE_FILES = "More CSV files, as after --csv."


def train(
    files: Annotated[list[Path] | None, typer.Argument(help=MORE_FILES, show_default=False)] = None,
    csv: Annotated[list[Path] | None, typer.Option(help="A file of series; several are trained on together.")] = None,
    prometheus: Annotated[str | None, typer.Option(help="Address of a Prometheus to read series from.")] = None,
    query: Annotated[
        list[str] | None, typer.Option(help="PromQL of the series; NAME := PROMQL names them. May be repeated.")
    ] = None,
    days: Annotated[float, typer.Option(min=0.05, max=400.0, help="How far back Prometheus is asked.")] = 14.0,
    step_s: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds between points; Prometheus: 60; files: as they are.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the registry of models.")] = REGISTRY,
    kinds: Annotated[str, typer.Option(help="tide, autoregressive, or both.")] = "tide,autoregressive",
    minutes: Annotated[float, typer.Option(min=0.01, help="Training time for all kinds together.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Of training, samples and intervals.")] = 0,
    hub: Annotated[
        Path | None, typer.Option(help="Folder with Chronos-2 (config.json, model.safetensors) to judge as well.")
    ] = None,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="Patience with each request to Prometheus.")] = 30.0,
    token_file: Annotated[Path | None, typer.Option(help="File with a bearer token for Prometheus.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")] = False,
) -> None:
    """Train models on your own series; each replaces the default only for signals on which it is proven better."""
    from forecasting.own_models.promotion import Plan, train_and_promote
    from forecasting.serving import default_forecaster

    chosen = _kinds(kinds)
    paths = [*(csv or []), *(files or [])]
    if bool(paths) == bool(prometheus):
        refuse("nothing to train on: give either --csv FILE … or --prometheus URL with --query PROMQL …")
    now = datetime.now(UTC)
    with training_checked():
        if prometheus:
            series = _from_prometheus(prometheus, query or [], days, step_s or 60.0, timeout_s, token_file, now)
        else:
            series = _from_files(paths, step_s)
        make_folder(out, "--out")
        plan = Plan(chosen, minutes * 60.0, seed, now.strftime("%Y-%m-%dT%H:%M:%SZ"))

        def tell(text: str) -> None:
            typer.echo(f"{text} …", err=True)

        with _hub_models(hub, plan.made_at) as hub_models:
            done = train_and_promote(series, plan, out, default_forecaster(), hub_models, tell)
    if as_json:
        typer.echo(json.dumps(promotion_json(done, out)))
        return
    from foresail.models_terminal import show_promotion

    show_promotion(done, out)


def promotion_json(done: Promotion, folder: Path) -> dict[str, Any]:
    """Scores by model and signal, what was promoted now, and what is served from now on."""
    return {
        "registry": str(folder),
        "active": done.manifest.active,
        "promoted": dict(done.manifest.promoted),
        "won": dict(done.won),
        "models": {
            name: {
                one.signal: {
                    "difference": one.difference,
                    "low": one.low,
                    "high": one.high,
                    "origins": one.origins,
                    "better": one.is_better,
                }
                for one in scores
            }
            for name, scores in done.scores.items()
        },
    }


@contextmanager
def training_checked() -> Iterator[None]:
    """Turns what is wrong with series, Prometheus, models or registry into a refusal."""
    from forecasting.own_models.errors import OwnModelError
    from forecasting.series_files import SeriesFileInvalid

    try:
        yield
    except (OwnModelError, SeriesFileInvalid) as error:
        refuse(str(error))
    except ImportError as error:
        refuse(f"{error.name} is not installed: pip install 'foresail[train]'")


def _kinds(text: str) -> tuple[ModelKind, ...]:
    from forecasting.own_models.card import ModelKind

    names = [ALIASES.get(name, name) for name in comma_list(text)]
    if not names or any(name not in set(ModelKind) for name in names):
        refuse(f"--kinds {text}: use tide, autoregressive, or both with a comma")
    return tuple(ModelKind(name) for name in dict.fromkeys(names))


def _from_files(paths: list[Path], step_s: float | None) -> tuple[Series, ...]:
    from forecasting.series_files import read_series

    return tuple(series for path in paths for series in read_series(path, step_s))


def _from_prometheus(
    url: str,
    queries: list[str],
    days: float,
    step_s: float,
    timeout_s: float,
    token_file: Path | None,
    now: datetime,
) -> tuple[Series, ...]:
    from forecasting.own_models.prometheus_series import Range, client_query, read_prometheus

    if not queries:
        refuse("--prometheus needs at least one --query PROMQL")
    token = None
    if token_file is not None:
        try:
            token = token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            refuse(f"--token-file {token_file}: cannot be read: {error}")
    ask = client_query(url, timeout_s, token)
    return read_prometheus(ask, tuple(queries), Range.of_days(days, step_s, now.timestamp()))


@contextmanager
def _hub_models(folder: Path | None, made_at: str) -> Iterator[list[HubModel]]:
    """The hub model of a folder, loaded in its own process as long as it is judged; none without a folder."""
    if folder is None:
        yield []
        return
    from forecasting.own_models.hub import KIND, HubWorker, hub_entry
    from forecasting.own_models.promotion import HubModel, model_name
    from forecasting.own_models.runner import OwnModelForecaster

    entry = hub_entry(folder, model_name(KIND, made_at), made_at)
    worker = HubWorker(entry)
    try:
        yield [HubModel(entry, OwnModelForecaster(entry.id, worker))]
    finally:
        worker.close()
