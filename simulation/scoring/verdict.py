"""One plain sentence on who kept the shop up at what cost."""

from __future__ import annotations

from statistics import fmean

from simulation.scoring.scoreboard import Figures
from simulation.scoring.summary import Summary

#: Downtimes closer than this are called equal.
SAME_S = 1.0


def best_arm(summary: Summary, figure: str, higher_is_better: bool = False) -> str | None:
    """The one arm with the best mean; the oracle knows the future and does not compete. None: unknown, a tie, or means
    over different runs, which say nothing about the arms."""
    means = {a: m for a in summary.arms if a != "oracle" and (m := summary.mean(a, figure)) is not None}
    runs = {frozenset((s.scenario, s.seed) for s in summary.scores if s.arm == arm) for arm in means}
    if len(means) < 2 or len(runs) > 1:
        return None
    first, second = sorted(means, key=lambda a: means[a], reverse=higher_is_better)[:2]
    return first if abs(means[first] - means[second]) > 1e-9 else None


def verdict(summary: Summary) -> str:
    """What an SRE wants to know first. Compares Foresail (or else the arm with least downtime) with the baseline."""
    ours = "foresail" if "foresail" in summary.arms else best_arm(summary, "downtime_s")
    if ours is None:
        ours = next((a for a in summary.arms if a != summary.baseline), summary.baseline)
    down, pods = summary.mean(ours, "downtime_s"), summary.mean(ours, "pod_hours")
    if down is None or pods is None:
        return f"No run of {ours} finished: there is nothing to compare."
    if ours == summary.baseline:
        return f"{ours} was down for {_seconds(down)} at {_pods(pods)} pod-hours; no other arm was asked for."
    pairs = _pairs(summary, ours)
    if not pairs:
        alone = f"{ours} was down for {_seconds(down)} at {_pods(pods)} pod-hours;"
        if summary.mean(summary.baseline, "downtime_s") is None:
            return f"{alone} no run of {summary.baseline} finished."
        return f"{alone} no pair with {summary.baseline} finished."
    # Over the pairs alone: a run whose counterpart failed would compare one scenario with another.
    down, theirs_down = (fmean(one.downtime_s for one in side) for side in zip(*pairs, strict=True))
    pods, theirs_pods = (fmean(one.pod_hours for one in side) for side in zip(*pairs, strict=True))
    cost = _cost(pods, theirs_pods)
    if abs(down - theirs_down) < SAME_S:
        return f"{ours} and {summary.baseline} were both down for {_seconds(theirs_down)}; {ours} did it at {cost}."
    word = "less" if down < theirs_down else "more"
    return (
        f"{ours} was down for {_seconds(down)}, {_factor(down, theirs_down)}{word} than "
        f"{summary.baseline} ({_seconds(theirs_down)}), at {cost}.{_certainty(summary, ours)}"
    )


def _pairs(summary: Summary, ours: str) -> list[tuple[Figures, Figures]]:
    """Of runs of both arms under the same scenario and seed."""
    theirs = {(score.scenario, score.seed): score for score in summary.scores if score.arm == summary.baseline}
    own = [score for score in summary.scores if score.arm == ours]
    return [
        (score.figures, theirs[score.scenario, score.seed].figures)
        for score in own
        if (score.scenario, score.seed) in theirs
    ]


def _factor(down: float, theirs: float) -> str:
    """Nothing where the baseline was never down: there is no share of nothing."""
    return f"{100 * abs(1 - down / theirs):.0f} % " if theirs > 0.0 else ""


def _certainty(summary: Summary, ours: str) -> str:
    """Says so when the interval of the difference holds zero, or when there is no interval."""
    spread = summary.comparison(ours, summary.baseline, "downtime_s")
    if spread.difference_low is None or spread.difference_high is None:
        return " One run each: no interval."
    if spread.difference_low <= 0.0 <= spread.difference_high:
        return " With so few runs the difference may be chance."
    return ""


def _cost(ours: float, theirs: float) -> str:
    amounts = f"({_pods(ours)} against {_pods(theirs)} pod-hours)"
    if theirs == 0.0:
        return f"a cost where there was none {amounts}" if ours > 0.0 else f"no cost {amounts}"
    if abs(ours / theirs - 1.0) < 0.005:
        return f"the same cost {amounts}"
    change = f"{100 * abs(ours / theirs - 1.0):.0f} %"
    return f"{change} {'lower' if ours < theirs else 'higher'} cost {amounts}"


def _pods(hours: float) -> str:
    return f"{hours:.1f}" if hours >= 1.0 else f"{hours:.2f}"


def _seconds(value: float) -> str:
    return f"{value:,.0f} s"
