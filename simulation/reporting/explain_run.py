"""What was decided at a time of a finished experiment, read back from its decisions.jsonl."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulation.clock import seconds_at

IN_FORCE_S = 60.0  # how far back a decision still belongs to the asked moment


class ExplanationUnavailable(Exception):
    """The folder, arm, seed or time is not there; the message says what is."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Lines of the moment asked for, newest last; `nearest` is True when none was in force and the closest stand in."""

    arm: str
    seed: int
    at_s: float
    lines: tuple[dict[str, Any], ...]
    nearest: bool


def explain_run(folder: Path, at: str, arm: str | None = None, seed: int | None = None) -> Explanation:
    """What controllers had decided when the run's clock showed `at`.

    The latest line of every workload within the last minute; when there is none, the closest lines before and after.
    Raises `ExplanationUnavailable` and `TimeInvalid`.
    """
    log, summary = folder / "decisions.jsonl", folder / "summary.json"
    if not log.is_file() or not summary.is_file():
        raise ExplanationUnavailable(f"{folder}: no decisions.jsonl here: give the --out folder of one scenario's run")
    about = _about(summary)
    arm = arm if arm is not None else ("foresail" if "foresail" in about["arms"] else next(iter(about["arms"])))
    seed = about["seeds"][0] if seed is None else seed
    if arm not in about["arms"]:
        raise ExplanationUnavailable(f"arm {arm!r} took no part: there are {', '.join(about['arms'])}")
    if seed not in about["seeds"]:
        raise ExplanationUnavailable(f"seed {seed} was not run: there are {', '.join(map(str, about['seeds']))}")
    at_s = seconds_at(at, about["starts_at"], about["duration_s"])
    lines = [line for line in _read(log) if line["arm"] == arm and line["seed"] == seed]
    current = _in_force(lines, at_s)
    return Explanation(arm, seed, at_s, current or _nearest(lines, at_s), nearest=not current)


def _about(summary: Path) -> dict[str, Any]:
    try:
        about = json.loads(summary.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExplanationUnavailable(f"{summary}: no JSON ({error}): run it again") from None
    if not isinstance(about, dict) or not {"arms", "seeds", "starts_at", "duration_s"} <= about.keys():
        raise ExplanationUnavailable(f"{summary}: not the summary of a run: run it again")
    return about


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, text in enumerate(lines, start=1):
            try:
                line = json.loads(text)
            except json.JSONDecodeError as error:
                raise ExplanationUnavailable(f"{path}: line {number} is no JSON ({error.msg}): run it again") from None
            if not isinstance(line, dict) or not {"arm", "seed", "at_s", "event", "workload"} <= line.keys():
                raise ExplanationUnavailable(f"{path}: line {number} is no decision: run it again")
            yield line


def _in_force(lines: Sequence[dict[str, Any]], at_s: float) -> tuple[dict[str, Any], ...]:
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        if at_s - IN_FORCE_S < line["at_s"] <= at_s + 0.5:
            newest[line["event"], line["workload"]] = line
    return tuple(sorted(newest.values(), key=lambda line: float(line["at_s"])))


def _nearest(lines: Sequence[dict[str, Any]], at_s: float) -> tuple[dict[str, Any], ...]:
    before = [line for line in lines if line["at_s"] <= at_s]
    after = [line for line in lines if line["at_s"] > at_s]
    return (*before[-1:], *after[:1])
