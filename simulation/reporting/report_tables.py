"""The words and numbers of the report: cards on top, scoreboard, faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulation.scoring.statistics import Estimate
from simulation.scoring.summary import FaultLine, FaultSummary, Summary
from simulation.scoring.verdict import best_arm

UNKNOWN = "–"


@dataclass(frozen=True, slots=True)
class Column:
    """A figure as people read it."""

    figure: str
    heading: str
    unit: str = ""
    decimals: int = 0
    higher_is_better: bool = False
    ranked: bool = True  # whether more or less is simply better
    note: str = ""
    ratio: bool = False

    def text(self, value: float | None) -> str:
        return UNKNOWN if value is None else f"{value:,.{self.decimals}f}{self.unit}"


COLUMNS = (
    Column(
        "downtime_s", "Downtime", " s", note="seconds down: trailing 10 s with ≥ 5 and > 1 % bad requests", ratio=True
    ),
    Column("mttr_s", "MTTR", " s", note="first down second to 30 s without one"),
    Column("failed_requests", "Failed requests"),
    Column("p99_ms", "p99", " ms"),
    Column("orders_lost", "Orders lost", decimals=1, note="acknowledged but not stored"),
    Column("pod_hours", "Pod-hours", decimals=1, note="everybody's pods, the controller's too", ratio=True),
    Column(
        "disruptive_acts",
        "Disruptive acts",
        decimals=1,
        ranked=False,
        note="drain, replace, shift, switch over, brownout",
    ),
    Column(
        "mttd_s", "MTTD", " s", ranked=False, note="first harm to first decision on the true target; negative is ahead"
    ),
    Column("orders_failed", "Orders refused", decimals=1),
    Column("orders_duplicated", "Orders doubled", decimals=1),
    Column("load_balance", "Load balance", decimals=3, higher_is_better=True, note="Jain's index; 1 is even"),
    Column("false_actions", "False acts", decimals=1, note="disruptive without a fault, per week and 100 workloads"),
    Column("peak_rps", "Peak", " req/s", higher_is_better=True, note="highest step of a staircase held within the SLO"),
)


ALL = tuple(column.figure for column in COLUMNS)


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    spread: str  # the interval, or empty
    ratio: str  # against the baseline, or empty
    best: bool


@dataclass(frozen=True, slots=True)
class ScoreTable:
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One figure of ours beside the baseline's."""

    heading: str
    value: str
    beside: str
    tone: str  # better, worse, same


@dataclass(frozen=True, slots=True)
class FaultRow:
    label: str
    when: str
    note: str
    cells: tuple[tuple[str, str], ...]  # arm, what became of it


def score_rows(summary: Summary, figures: Sequence[str] = ALL) -> ScoreTable:
    """All arms; columns that no arm can fill are left out."""
    columns = tuple(
        c
        for c in COLUMNS
        if c.figure in figures and any(summary.mean(arm, c.figure) is not None for arm in summary.arms)
    )
    best = {c.figure: best_arm(summary, c.figure, c.higher_is_better) for c in columns if c.ranked}
    return ScoreTable(
        columns,
        tuple(
            (arm, tuple(_cell(summary, arm, column, best.get(column.figure) == arm) for column in columns))
            for arm in summary.arms
        ),
    )


def cards(summary: Summary) -> tuple[Card, ...]:
    """The four figures that matter at three in the morning; none without an arm beside the baseline."""
    ours = "foresail" if "foresail" in summary.arms else None
    if ours is None or ours == summary.baseline:
        return ()
    return tuple(
        _card(summary, ours, column)
        for column in COLUMNS
        if column.figure in ("downtime_s", "mttr_s", "failed_requests", "pod_hours")
    )


def fault_rows(summary: Summary, clock: Callable[[float], str]) -> tuple[FaultRow, ...]:
    return tuple(
        FaultRow(
            label=fault.label,
            when=f"{clock(fault.start_s)[:-3]} – {clock(fault.end_s)[:-3]}",
            note=_harm(fault, summary.baseline),
            cells=tuple((arm, _became(fault.arms.get(arm), fault)) for arm in summary.arms),
        )
        for fault in summary.faults
    )


def _cell(summary: Summary, arm: str, column: Column, best: bool) -> Cell:
    value = summary.arms[arm][column.figure]
    ratio = None
    if column.ratio and arm != summary.baseline:
        ratio = summary.comparison(arm, summary.baseline, column.figure).ratio
    return Cell(
        text=column.text(value.mean),
        spread=_spread(value, column),
        ratio=f"{ratio:.2f} ×" if ratio is not None else "",
        best=best,
    )


def _spread(value: Estimate, column: Column) -> str:
    if value.low is None or value.high is None or value.low == value.high:
        return ""
    return f"{value.low:,.{column.decimals}f} to {value.high:,.{column.decimals}f}"


def _card(summary: Summary, ours: str, column: Column) -> Card:
    value, other = summary.mean(ours, column.figure), summary.mean(summary.baseline, column.figure)
    tone = "same"
    if value is not None and other is not None and abs(value - other) > 0.02 * max(abs(other), 1e-9):
        tone = "better" if value < other else "worse"
    return Card(column.heading, column.text(value), f"{summary.baseline}: {column.text(other)}", tone)


def _harm(fault: FaultSummary, baseline: str) -> str:
    if not fault.baseline_runs:
        return f"no run of {baseline} to tell"
    if not fault.counted:
        return f"does not hurt {baseline}: not counted"
    if fault.hurts_baseline == fault.baseline_runs:
        return f"hurts {baseline}"
    return f"hurts {baseline} under {fault.hurts_baseline} of {fault.baseline_runs} seeds"


def _became(line: FaultLine | None, fault: FaultSummary) -> str:
    if line is None:
        return UNKNOWN
    if not line.hurt:
        if line.masked == line.runs:
            return "began in another outage"
        return "averted" if fault.counted else "no harm"
    parts = [f"{line.downtime_s:,.0f} s down"]
    if line.time_to_recover_s is not None:
        parts.append(f"MTTR {line.time_to_recover_s:,.0f} s")
    if line.runs > 1:
        parts.append(f"{line.hurt} of {line.runs} seeds")
    if line.censored:
        parts.append(f"{line.censored} not over at the end")
    return ", ".join(parts)
