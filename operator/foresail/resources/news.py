"""Decisions that say something new, and how the status shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from foresail.resources.shown import clock, iso
from foresail.resources.status import MOST_CODES, MOST_DECISIONS, MOST_TEXT, DecisionShown
from policies.decision import Action, Decision
from policies.explain import render
from policies.model import Mode

#: A decision that does nothing follows the last news of its workload at the earliest after this.
QUIET_S = 60.0
_CODE_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Said:
    """What was last new about a workload, and when."""

    mode: Mode
    acts: tuple[str, ...]
    withheld: tuple[str, ...]
    reasons: tuple[str, ...]
    at_s: float

    @property
    def quiet(self) -> bool:
        return not self.acts and not self.withheld

    def same_as(self, other: Said) -> bool:
        ours, theirs = ((s.mode, s.acts, s.withheld, s.reasons) for s in (self, other))
        return ours == theirs


def news(decisions: Iterable[Decision], said: Mapping[str, Said]) -> tuple[tuple[Decision, ...], dict[str, Said]]:
    """Decisions that say something else of their workload than the last news of it, oldest first; and what was said.

    Numbers in reasons are no news, nor is a floor that is renewed. Without this every tick would be a write.
    """
    known = dict(said)
    new = []
    for decision in sorted(decisions, key=lambda decision: decision.at_s):
        now, last = _said(decision), known.get(decision.workload)
        if last is not None and (now.same_as(last) or (now.quiet and now.at_s - last.at_s < QUIET_S)):
            continue
        known[decision.workload] = now
        new.append(decision)
    return tuple(new), known


def decisions_shown(new: Sequence[Decision], before: Sequence[DecisionShown]) -> tuple[DecisionShown, ...]:
    """The last decisions, newest first. One that does nothing pushes no other workload's out."""
    shown = list(before)
    for decision in sorted(new, key=lambda decision: decision.at_s):
        last = next((old for old in shown if old.workload == decision.workload), None)
        now = _said(decision)
        if last is not None and now.same_as(Said(last.mode, last.acts, last.withheld, last.reasons, 0.0)):
            continue
        if last is None and now.quiet and len(shown) >= MOST_DECISIONS:
            continue
        shown.insert(0, _shown(decision, now))
    return tuple(shown[:MOST_DECISIONS])


def _said(decision: Decision) -> Said:
    codes = [reason.code.value for reason in decision.reasons]
    codes += [f"not: {veto.reason.code.value}" for veto in decision.vetoes]
    return Said(
        mode=decision.mode,
        acts=_codes(act_in_short(action) for action in decision.actions),
        withheld=_codes(act_in_short(action) for action in decision.withheld),
        reasons=_codes(dict.fromkeys(codes)),
        at_s=decision.at_s,
    )


def _shown(decision: Decision, said: Said) -> DecisionShown:
    text = render(decision, clock)
    return DecisionShown(
        id=decision.id[:128],
        at=iso(decision.at_s),
        workload=decision.workload[:317],
        mode=decision.mode,
        explanation=text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 1]}…",
        acts=said.acts,
        withheld=said.withheld,
        reasons=said.reasons,
    )


def act_in_short(action: Action) -> str:
    """Like `SetFloor shop/web 8`: what is done to what, without the time that it ends."""
    values = [getattr(action, field.name) for field in fields(action) if field.name != "expires_at_s"]
    return " ".join((type(action).__name__, *(_value(value) for value in values)))


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_value(part)}" for key, part in value.items())
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _codes(codes: Iterable[str]) -> tuple[str, ...]:
    return tuple(code[:_CODE_LENGTH] for code in list(codes)[:MOST_CODES])
