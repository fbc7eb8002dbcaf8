"""How far an experiment is and when it will be over, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chaos.experiments.jobs import RunKey

#: Installing an arm, waiting until it is steady, rolling back and reconciling; until it has been measured.
AROUND_A_RUN_S = 240.0


def expected_s(run: RunKey, spent_s: Mapping[RunKey, float], load_s: Mapping[str, float]) -> float:
    """As its scenario took so far; else its load and what others needed around theirs."""
    same = [seconds for key, seconds in spent_s.items() if key.scenario == run.scenario]
    if same:
        return sum(same) / len(same)
    around = [seconds - load_s[key.scenario] for key, seconds in spent_s.items() if key.scenario in load_s]
    return load_s[run.scenario] + (sum(around) / len(around) if around else AROUND_A_RUN_S)


def left_s(left: Sequence[RunKey], spent_s: Mapping[RunKey, float], load_s: Mapping[str, float]) -> float:
    return sum(expected_s(run, spent_s, load_s) for run in left)


def told(number: int, total: int, run: RunKey, what: str, seconds_left: float) -> str:
    """`[3/12] leak · foresail · seed 2: finished; about 81 min left`"""
    rest = f"; about {in_words(seconds_left)} left" if seconds_left > 0.0 else ""
    return f"[{number}/{total}] {run}: {what}{rest}"


def in_words(seconds: float) -> str:
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60.0)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
