"""Sentences for tired people: what was done, to what, why, and what was held back."""

from __future__ import annotations

from collections.abc import Callable

from policies.decision import Action, Decision, Reason

Clock = Callable[[float], str]


def render_reason(reason: Reason, clock: Clock) -> str:
    """One reason as a clause."""
    return reason.code.value.replace("_", " ")


def render_action(action: Action, clock: Clock) -> str:
    """One action as a clause."""
    return type(action).__name__


def render(decision: Decision, clock: Clock) -> str:
    """One decision as a sentence or two."""
    acts = ", ".join(render_action(action, clock) for action in decision.actions) or "Did nothing"
    return f"{acts}: " + "; ".join(render_reason(reason, clock) for reason in decision.reasons) + "."
