"""`foresail backtest`: how well each forecaster would have done on measured series."""

from __future__ import annotations

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.commands.mistakes import SOME_RUNS_FAILED, make_folder, refuse

if TYPE_CHECKING:
    from forecasting.backtesting.candidates import Candidate
    from forecasting.backtesting.study import Result, Settings
    from forecasting.series_files import Series

CHEAP = "seasonal-naive,random-walk,holt-winters,predict-linear,foresail-fallback,foresail"
#: Longer horizons than a day of minutes are a mistake.
MOST_STEPS = 1440


def backtest(
    files: Annotated[list[Path] | None, typer.Argument(help="CSV or text files; each is a group of its own.")] = None,
    data: Annotated[Path | None, typer.Option(help="A folder of the public data sets, in their groups.")] = None,
    step_s: Annotated[float | None, typer.Option(help="Seconds between two points, where files hold no times.")] = None,
    models: Annotated[str, typer.Option(help="Models, separated by commas; all for every one.")] = CHEAP,
    horizons: Annotated[str, typer.Option(help="Steps ahead within which peaks are judged.")] = "15,30,60",
    windows: Annotated[int, typer.Option(min=1, help="Windows of each series at most.")] = 20,
    group_windows: Annotated[int, typer.Option(min=1, help="Windows of each group at most.")] = 200,
    warm_up: Annotated[int, typer.Option(min=0, help="Unscored forecasts before each window, to learn from.")] = 4,
    fit_seconds: Annotated[float, typer.Option(min=1.0, help="Training of tide and deepar for each group.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="Of samples and intervals.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for backtest.json, backtest.md, reliability.svg.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")] = False,
) -> None:
    """Replay forecasters over rolling origins of measured series and score them against seasonal naive."""
    from forecasting.backtesting.candidates import Training, candidates_named
    from forecasting.backtesting.errors import BacktestError
    from forecasting.backtesting.replay import Conditions
    from forecasting.backtesting.study import Settings
    from forecasting.backtesting.windows import Spread
    from forecasting.series_files import SeriesFileInvalid

    steps = _steps(horizons)
    if out is not None:
        make_folder(out, "--out")
    with TemporaryDirectory(prefix="foresail-backtest-") as scratch:
        try:
            candidates = candidates_named(models)
            groups = _groups(files or [], data, step_s)
            settings = Settings(
                Training(fit_seconds, seed, Path(scratch)),
                Spread(windows, group_windows, max(Spread().horizon_steps, *steps)),
                Conditions(horizons=steps, seed=seed, warm_up=warm_up),
            )
            result = _carried_out(groups, candidates, settings, quiet=as_json)
        except (BacktestError, SeriesFileInvalid) as error:
            refuse(str(error))
    _shown(result, out, as_json)


def _carried_out(
    groups: dict[str, tuple[Series, ...]], candidates: tuple[Candidate, ...], settings: Settings, quiet: bool
) -> Result:
    from forecasting.backtesting.study import backtest as judged
    from foresail.backtest_terminal import progress

    with progress(len(candidates), quiet) as on_progress:
        return judged(groups, candidates, settings, time.perf_counter, on_progress)


def _shown(result: Result, out: Path | None, as_json: bool) -> None:
    from forecasting.backtesting.result_files import write_result
    from forecasting.backtesting.result_json import result_json
    from foresail.backtest_terminal import show

    written = write_result(result, out) if out is not None else ()
    if as_json:
        typer.echo(json.dumps(result_json(result)))
    else:
        show(result)
        for path in written:
            typer.echo(str(path))
    if result.failed:
        raise typer.Exit(SOME_RUNS_FAILED)


def _groups(files: list[Path], data: Path | None, step_s: float | None) -> dict[str, tuple[Series, ...]]:
    """The groups of the data folder and every file as one of its own, under its name or, if two share it, its path."""
    from forecasting.datasets import load_groups
    from forecasting.series_files import read_series

    if not files and data is None:
        refuse("nothing to judge: give files, or --data FOLDER")
    if data is not None and not data.is_dir():
        refuse(f"--data {data}: no such folder")
    groups = load_groups(data) if data is not None else {}
    if data is not None and not groups:
        refuse(f"--data {data}: holds none of the data sets that are known; give their files instead")
    stems = [path.stem for path in files]
    for path in dict.fromkeys(files):
        name = path.stem if stems.count(path.stem) == 1 and path.stem not in groups else str(path)
        groups[name] = read_series(path, step_s)
    return groups


def _steps(text: str) -> tuple[int, ...]:
    """Horizons in rising order, each once."""
    try:
        steps = sorted({int(part) for part in text.split(",")})
    except ValueError:
        refuse(f"--horizons {text}: give whole numbers of steps, like 15,30,60")
    if steps[0] < 1 or steps[-1] > MOST_STEPS:
        refuse(f"--horizons {text}: give numbers of steps from 1 to {MOST_STEPS}")
    return tuple(steps)
