"""comparison.json and the same as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from chaos.comparison.replicas import Agreement
from chaos.comparison.table import ArmLine, Comparison, FigureLine, RankLine
from chaos.comparison.verdicts import Verdict, verdicts

_HEADINGS = {
    "downtime_s": "downtime, s",
    "mttr_s": "MTTR, s",
    "p99_hard_ms": "p99 in the hard minutes, ms",
    "pod_hours": "pod-hours",
    "requests": "requests",
}
_LEGEND = """\
Live → simulated (error; 95 % interval of it over runs, where there are several). Means over the runs that know a figure
in both worlds; requests tell whether the load was the same."""
UNKNOWN = "–"
_SAID = {True: "yes", False: "**no**", None: "unknown"}


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """As JSON values; unknown is null."""
    return {
        "verdicts": [{**asdict(verdict), "holds": verdict.holds} for verdict in verdicts(comparison)],
        "arms": [
            {
                "scenario": line.scenario,
                "arm": line.arm,
                "seeds": list(line.seeds),
                "figures": {figure: asdict(one) for figure, one in line.figures.items()},
                "replicas_within_1": [asdict(agreement) for agreement in line.replicas],
                "downtime_close": line.downtime_close,
                "replicas_close": line.replicas_close,
            }
            for line in comparison.arms
        ],
        "ranks": [asdict(rank) for rank in comparison.ranks],
        "not_compared": [{**left.key._asdict(), "why": left.why} for left in comparison.left_out],
    }


def comparison_page(comparison: Comparison) -> str:
    """The page: verdicts, figures live → simulated with errors, replicas, order of the arms, what was left out."""
    parts = [
        ["# Simulated beside live"],
        [_verdict_line(verdict) for verdict in verdicts(comparison)],
        _figure_table(comparison),
        [_LEGEND],
        _replica_table(comparison),
        _rank_table(comparison),
        _left_out(comparison),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _verdict_line(verdict: Verdict) -> str:
    unknown = f", {verdict.unknown} unknown" if verdict.unknown else ""
    return f"- {verdict.claim}: {_SAID[verdict.holds]} ({verdict.close} of {verdict.judged}{unknown})"


def _figure_table(comparison: Comparison) -> list[str]:
    if not comparison.arms:
        return ["No finished run could be compared."]
    return _table(
        ("scenario", "arm", "runs", *_HEADINGS.values(), "downtime close"),
        [
            (
                line.scenario,
                line.arm,
                str(len(line.seeds)),
                *(figure_text(line.figures[figure]) for figure in _HEADINGS),
                _SAID[line.downtime_close],
            )
            for line in comparison.arms
        ],
    )


def figure_text(line: FigureLine) -> str:
    """`40 → 43 (+3; −1 to 6)`, and in how many runs only one world knows the figure."""
    alone = [
        f"{count} only {world}"
        for count, world in ((line.only_live, "live"), (line.only_simulated, "simulated"))
        if count
    ]
    if line.live is None or line.simulated is None or line.error is None:
        return "; ".join([UNKNOWN, *alone])
    error = f"{line.error:+.3g}"
    if line.error_ratio is not None:
        error += f", {line.error_ratio:+.0%}"
    if line.error_low is not None and line.error_high is not None:
        error += f"; {line.error_low:.3g} to {line.error_high:.3g}"
    return "; ".join([f"{_number(line.live)} → {_number(line.simulated)} ({error})", *alone])


def _replica_table(comparison: Comparison) -> list[str]:
    rows = [
        (line.scenario, line.arm, *_replica_cells(line), _SAID[line.replicas_close])
        for line in comparison.arms
        if line.replicas
    ]
    headings = ("scenario", "arm", "within 1: desired", "ready", "worst service", "seen live", "close")
    return ["## Replicas over time", "", *_table(headings, rows)] if rows else []


def _replica_cells(line: ArmLine) -> Iterator[str]:
    for shares in ([one.desired for one in line.replicas], [one.ready for one in line.replicas]):
        known = [share for share in shares if share is not None]
        yield f"{sum(known) / len(known):.0%}" if known else UNKNOWN
    yield _worst(line.replicas)
    yield f"{min(one.known_ratio for one in line.replicas):.0%}"


def _worst(replicas: tuple[Agreement, ...]) -> str:
    known = [(one.least, one.service) for one in replicas if one.least is not None]
    return "{1} {0:.0%}".format(*min(known)) if known else UNKNOWN


def _rank_table(comparison: Comparison) -> list[str]:
    rows = [
        (rank.scenario, " < ".join(rank.live) or UNKNOWN, " < ".join(rank.simulated) or UNKNOWN, _rank_said(rank))
        for rank in comparison.ranks
    ]
    headings = ("scenario", "live", "simulated", "equal")
    return ["## Order of the arms by downtime", "", *_table(headings, rows)] if rows else []


def _rank_said(rank: RankLine) -> str:
    turned = ", ".join(" and ".join(pair) for pair in rank.reversed_arms)
    return f"{_SAID[rank.equal]}: {turned}" if turned else _SAID[rank.equal]


def _left_out(comparison: Comparison) -> list[str]:
    if not comparison.left_out:
        return []
    return ["## Not compared", "", *(f"- {left.key}: {left.why}" for left in comparison.left_out)]


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (headings, ("---",) * len(headings), *rows)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
