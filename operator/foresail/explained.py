"""Decisions as people and machines read them: one JSON object, with the sentence that explains it."""

from __future__ import annotations

import datetime
import math
from dataclasses import asdict
from typing import Any

from foresail.tick_report import TickReport
from policies.decision import Action, Decision, Reason
from policies.explain import render, render_action, render_reason


def clock(at_s: float) -> str:
    """Time of day, UTC."""
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%H:%M:%SZ")


def moment(at_s: float) -> str:
    """RFC 3339, UTC, to the millisecond."""
    text = datetime.datetime.fromtimestamp(at_s, datetime.UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def explained(decision: Decision, refused: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A JSON object. `refused` are its actions that did not happen, as `refused_of` names them."""
    return {
        "id": decision.id,
        "at": moment(decision.at_s),
        "workload": decision.workload,
        "mode": decision.mode.value,
        "lane": "fast" if decision.fast else "slow",
        "sentence": render(decision, clock),
        "actions": [_action(action, repr(action) not in refused) for action in decision.actions],
        "withheld": [_action(action) for action in decision.withheld],
        "reasons": [_reason(reason) for reason in decision.reasons],
        "vetoes": [
            {"wish": render_action(veto.proposal.action, clock), **_reason(veto.reason)} for veto in decision.vetoes
        ],
        "confidence": decision.confidence,
        "model": decision.model,
    }


def refused_of(report: TickReport, decision: Decision) -> frozenset[str]:
    """The actions of a decision that did not happen, as text: weights hold a mapping and are no keys."""
    return frozenset(repr(action) for decision_id, action in report.refused if decision_id == decision.id)


def outline(decision: Decision) -> tuple[object, ...]:
    """What makes a decision news: the same outline again says nothing new."""
    return (
        decision.mode,
        tuple(type(action).__name__ for action in (*decision.actions, *decision.withheld)),
        tuple(reason.code for reason in decision.reasons),
        tuple(veto.reason.code for veto in decision.vetoes),
    )


def _reason(reason: Reason) -> dict[str, Any]:
    return {"code": reason.code.value, "text": render_reason(reason, clock), "facts": _facts(reason)}


def _facts(reason: Reason) -> dict[str, float | str | None]:
    """Numbers that JSON has no words for are not known."""
    return {
        name: value if isinstance(value, str) or math.isfinite(value) else None for name, value in reason.facts.items()
    }


def _action(action: Action, done: bool | None = None) -> dict[str, Any]:
    """In words for people, and with the values that it has for programs; moments in those are Unix seconds."""
    told = {"kind": type(action).__name__, "text": render_action(action, clock), "values": asdict(action)}
    return told if done is None else {**told, "done": done}
