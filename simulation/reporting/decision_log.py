"""Everything that controllers did in a run, as lines that people and programs can read: decisions.jsonl."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from policies.decision import Action, Decision, Reason, Veto
from policies.explain import Clock, render, render_action, render_reason
from simulation.clock import clock_of
from simulation.result import ForecastRecord, Resize, RunResult

#: How far ahead the forecast is quoted beside a decision.
QUOTED_AHEAD_S = (60.0, 300.0, 900.0)


def decision_log(result: RunResult) -> list[dict[str, Any]]:
    """One line per decision and per resize of an autoscaler, in order of time; JSON values only."""
    clock = clock_of(result.scenario)
    quotes = _Quotes(result.forecasts)
    lines = [*_decision_lines(result, clock, quotes), *_resize_lines(result, clock)]
    head = {"scenario": result.scenario.name, "arm": result.arm, "seed": result.seed}
    return [{**head, **line} for line in sorted(lines, key=lambda line: float(line["at_s"]))]


def _decision_lines(result: RunResult, clock: Clock, quotes: _Quotes) -> Iterator[dict[str, Any]]:
    for decision in result.decisions:
        yield {
            "event": "decision",
            "id": decision.id,
            "at_s": decision.at_s,
            "clock": clock(decision.at_s),
            "workload": decision.workload,
            "mode": decision.mode.value,
            "fast": decision.fast,
            "sentence": render(decision, clock),
            "actions": [
                {**_action(a, clock), "took_effect": (decision.id, type(a).__name__) not in result.refusals}
                for a in decision.actions
            ],
            "withheld": [_action(a, clock) for a in decision.withheld],
            "reasons": [_reason(r, clock) for r in decision.reasons],
            "vetoes": [_veto(v, clock) for v in decision.vetoes],
            "confidence": decision.confidence,
            "model": decision.model,
            "forecast": quotes.at(decision),
        }


def _resize_lines(result: RunResult, clock: Clock) -> Iterator[dict[str, Any]]:
    for resize in result.resizes:
        yield {
            "event": "resize",
            "at_s": resize.at_s,
            "clock": clock(resize.at_s),
            "workload": resize.service,
            "by": resize.by,
            "before": resize.before,
            "after": resize.after,
            "sentence": resize_sentence(resize),
        }


def resize_sentence(resize: Resize) -> str:
    """What an autoscaler did, as a sentence."""
    who = {
        "hpa": "The HPA",
        "floor": "The floor",
        "peer": "The autoscaler",
        "healing": "Healing",
        "scenario": "The scenario",
    }[resize.by]
    verb = "raised" if resize.after > resize.before else "lowered"
    return f"{who} {verb} {resize.service} from {resize.before} to {resize.after} pods."


class _Quotes:
    """What the newest forecast of a workload said at the time of a decision."""

    def __init__(self, records: tuple[ForecastRecord, ...]) -> None:
        self._by_workload: dict[str, list[ForecastRecord]] = {}
        for record in sorted(records, key=lambda r: r.issued_at_s):
            self._by_workload.setdefault(short(record.workload), []).append(record)
        self._issued = {w: np.array([r.issued_at_s for r in rs]) for w, rs in self._by_workload.items()}

    def at(self, decision: Decision) -> list[dict[str, float]]:
        """Quantiles at a minute, five and fifteen ahead; empty without a forecast."""
        workload = short(decision.workload)
        if workload not in self._issued:
            return []
        row = int(np.searchsorted(self._issued[workload], decision.at_s, side="right")) - 1
        return [] if row < 0 else _quoted(self._by_workload[workload][row])


def _quoted(record: ForecastRecord) -> list[dict[str, float]]:
    quotes = []
    for ahead_s in QUOTED_AHEAD_S:
        at_s = record.issued_at_s + ahead_s
        step = int(np.argmin(np.abs(record.times_s - at_s)))
        known = np.isfinite([record.q05_rps[step], record.q50_rps[step], record.q95_rps[step]]).all()
        if known and abs(float(record.times_s[step]) - at_s) <= ahead_s / 2:
            quotes.append(
                {
                    "in_s": round(float(record.times_s[step] - record.issued_at_s), 1),
                    "q05_rps": round(float(record.q05_rps[step]), 2),
                    "q50_rps": round(float(record.q50_rps[step]), 2),
                    "q95_rps": round(float(record.q95_rps[step]), 2),
                }
            )
    return quotes


def short(workload: str) -> str:
    """A workload's name without its namespace."""
    return workload.rpartition("/")[2]


def _action(action: Action, clock: Clock) -> dict[str, Any]:
    return {"kind": type(action).__name__, **_plain(asdict(action)), "sentence": render_action(action, clock)}


def _reason(reason: Reason, clock: Clock) -> dict[str, Any]:
    return {
        "code": reason.code.value,
        "facts": _plain(dict(reason.facts)),
        "sentence": render_reason(reason, clock),
    }


def _veto(veto: Veto, clock: Clock) -> dict[str, Any]:
    proposal = veto.proposal
    return {
        "action": _action(proposal.action, clock),
        "rung": proposal.rung.name.lower(),
        "confidence": proposal.confidence,
        "because": _reason(veto.reason, clock),
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """JSON values: tuples become lists, numbers that are not finite null."""
    return {key: _plain_value(value) for key, value in values.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_plain_value(v) for v in value]
    if isinstance(value, np.generic):
        return _plain_value(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
