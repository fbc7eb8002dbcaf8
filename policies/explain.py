"""Sentences for tired people: what was done, to what, why, and what was held back."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence

from policies.decision import (
    Action,
    Decision,
    DetachPod,
    EvictPod,
    Reason,
    ReasonCode,
    ReattachPod,
    RestoreZone,
    SetBrownout,
    SetFloor,
    SetScale,
    SetTraffic,
    SetWeights,
    ShiftZone,
    SwitchOver,
)
from policies.phrases import PHRASES, SIGNALS

Clock = Callable[[float], str]
Facts = Mapping[str, float | str]

_SHARES = frozenset(
    {
        "probability",
        "confidence",
        "needed",
        "threshold",
        "coverage",
        "coverage98",
        "reached",
        "skill",
        "least",
        "error_ratio",
        "ceiling",
    }
)
_UNITS = {"memory": "MiB", "disk": "MiB", "connection_pool": "connections", "queue": "requests"}
_FORMATTER = string.Formatter()


def render(decision: Decision, clock: Clock) -> str:
    """A decision in one or two sentences. `clock` writes a time of day for seconds."""
    because = _join([render_reason(reason, clock) for reason in _told(decision)])
    acts = _acts(decision.actions, decision.reasons, clock, done=True)
    parts = [f"{_capital(acts) or f'Left {decision.workload} as it is'}: {because}"]
    if decision.withheld:
        parts.append(f"Would {_acts(decision.withheld, decision.reasons, clock, done=False)}")
    for veto in decision.vetoes:
        wish = _clause(veto.proposal.action, clock, _facts_of(veto.proposal.reasons), done=False)
        parts.append(f"Did not {wish}: {render_reason(veto.reason, clock)}")
    return " ".join(f"{part}." for part in parts)


def render_reason(reason: Reason, clock: Clock) -> str:
    """One reason as a clause, every known fact in it with its unit."""
    facts = {key: _fact(key, value, reason.facts, clock) for key, value in reason.facts.items()}
    pieces = [piece for piece in PHRASES[reason.code] if facts_in(piece) <= facts.keys()]
    if not pieces:
        return reason.code.value.replace("_", " ")
    # The first piece is the statement; where its facts are missing the bare code stands in for it.
    if pieces[0] != PHRASES[reason.code][0]:
        pieces = [reason.code.value.replace("_", " "), *pieces]
    text = "".join(piece.format(**facts) for piece in pieces)
    return text + ")" * (text.count("(") - text.count(")"))


def render_action(action: Action, clock: Clock) -> str:
    """One action as a clause in the past tense, starting in lower case."""
    return _clause(action, clock, {}, done=True)


def _told(decision: Decision) -> Sequence[Reason]:
    return decision.reasons or (Reason(ReasonCode.NOTHING_TO_DO),)


def _acts(actions: Sequence[Action], reasons: Sequence[Reason], clock: Clock, done: bool) -> str:
    return " and ".join(_clause(action, clock, _facts_of(reasons), done) for action in actions)


def _facts_of(reasons: Sequence[Reason]) -> Facts:
    """The facts of the reason that says where a floor came from."""
    return next((reason.facts for reason in reasons if "floor_before" in reason.facts), {})


def _clause(action: Action, clock: Clock, facts: Facts, done: bool) -> str:
    """What was done, or in the infinitive what would be."""
    match action:
        case SetFloor():
            return _sized("floor", action.workload, action.floor, facts, done)
        case SetScale():
            return _sized("scale", action.workload, action.replicas, facts, done)
        case SetTraffic(on=True):
            return f"{_verb('put', 'put', done)} {action.pod} of {action.workload} back into rotation"
        case SetTraffic():
            until = "" if action.expires_at_s is None else f" until {clock(action.expires_at_s)}"
            return f"{_verb('took', 'take', done)} {action.pod} of {action.workload} out of rotation{until}"
        case DetachPod():
            verb = _verb("began", "begin", done)
            return f"{verb} to replace {action.pod} of {action.workload}"
        case ReattachPod():
            return f"{_verb('gave', 'give', done)} {action.pod} back to {action.workload}"
        case EvictPod():
            return f"{_verb('evicted', 'evict', done)} {action.pod} of {action.workload}, whose replacement serves"
        case ShiftZone():
            names, until = ", ".join(action.workloads), clock(action.expires_at_s)
            return f"{_verb('took', 'take', done)} zone {action.zone} out of rotation for {names} until {until}"
        case RestoreZone():
            return f"{_verb('put', 'put', done)} zone {action.zone} back for {', '.join(action.workloads)}"
        case SwitchOver():
            verb = _verb("switched", "switch", done)
            return f"{verb} {action.database} over from {action.leader} to {action.candidate}"
        case SetBrownout(ceiling=ceiling) if ceiling >= 1.0:
            return f"{_verb('allowed', 'allow', done)} all optional content of {action.workload} again"
        case SetBrownout():
            verb, share = _verb("limited", "limit", done), _share(action.ceiling)
            return f"{verb} optional content of {action.workload} to {share} until {clock(action.expires_at_s)}"
        case SetWeights():
            weights = ", ".join(f"{pod} {_number(weight)}" for pod, weight in action.weights.items())
            verb = _verb("weighted", "weight", done)
            return f"{verb} traffic of {action.workload} ({weights}) until {clock(action.expires_at_s)}"


def _sized(noun: str, workload: str, value: int, facts: Facts, done: bool) -> str:
    before = facts.get("floor_before")
    if not isinstance(before, float) or facts.get("floor") != float(value):
        return f"{_verb('set', 'set', done)} the {noun} of {workload} to {value}"
    if before == value:
        return f"{_verb('kept', 'keep', done)} the {noun} of {workload} at {value}"
    done_verb, verb = ("raised", "raise") if value > before else ("lowered", "lower")
    return f"{_verb(done_verb, verb, done)} the {noun} of {workload} from {_number(before)} to {value}"


def _verb(past: str, infinitive: str, done: bool) -> str:
    return past if done else infinitive


def facts_in(piece: str) -> set[str]:
    """Names of the facts that a piece of a phrase needs."""
    return {name for _, name, _, _ in _FORMATTER.parse(piece) if name}


def _fact(key: str, value: float | str, facts: Facts, clock: Clock) -> str:
    """A fact with its unit, which its name tells."""
    if isinstance(value, str):
        if key == "gone":
            return ""
        return SIGNALS.get(value, value) if key == "signal" else _word(value)
    if key in ("value", "limit", "peers"):
        return _signal_value(str(facts.get("signal", "")), value)
    if key in ("at_s", "until_s") or key.endswith("_at_s"):
        return clock(value)
    if key.endswith("_rps"):
        return f"{_number(value)} req/s"
    if key.endswith("_s") or key == "seconds":
        return _duration(value)
    if key == "pods_needed":
        return "no pod" if value < 1.0 else "1 pod" if value == 1.0 else f"{_number(value)} pods"
    if key in _SHARES or key.endswith("_ratio") or (key == "floor" and "healthy_ratio" in facts):
        return _share(value)
    return _number(value)


def _word(value: str) -> str:
    """Names of rungs as people say them."""
    return value.lower().replace("_", " ") if value.isupper() else value


def _signal_value(signal: str, value: float) -> str:
    if signal == "errors":
        return _share(value)
    if signal == "latency":
        return f"{_number(value * 1000.0)} ms"
    if signal == "replication_lag":
        return _duration(value)
    unit = _UNITS.get(signal)
    return _number(value) if unit is None else f"{_number(value)} {unit}"


def _share(ratio: float) -> str:
    percent = 100.0 * ratio
    return f"{percent:.0f} %" if percent >= 1.0 or percent <= 0.0 else f"{percent:.1f} %"


def _duration(seconds: float) -> str:
    if seconds < 0.95:
        return f"{_number(seconds * 1000.0)} ms"
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 7200.0 else f"{seconds / 3600.0:.1f} h"


def _number(value: float) -> str:
    return f"{value:.0f}" if value == round(value) or abs(value) >= 100.0 else f"{value:.3g}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _join(clauses: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(clauses))
