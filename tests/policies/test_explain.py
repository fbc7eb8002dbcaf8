"""Sentences that a tired person understands."""

from __future__ import annotations

import pytest

from policies import explain
from policies.decision import (
    Action,
    Decision,
    DetachPod,
    EvictPod,
    Proposal,
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
    Veto,
)
from policies.model import Mode, Rung
from policies.phrases import PHRASES

CART, GATE = "shop/cart", "shop/gateway"


def clock(at_s: float) -> str:
    return f"{int(at_s // 3600):02d}:{int(at_s // 60 % 60):02d}"


def decision(*actions: Action, reasons: tuple[Reason, ...] = (), **known: object) -> Decision:
    return Decision("d-1", 45_000.0, GATE, Mode.ENFORCE, actions, reasons, **known)  # type: ignore[arg-type]


PRESCALE = Reason(
    ReasonCode.DEMAND_EXPECTED,
    {"floor_before": 4.0, "floor": 7.0, "demand_rps": 310.0, "at_s": 45_240.0, "capacity_rps": 240.0, "lead_s": 45.0},
)


def test_a_raised_floor_says_from_where_to_where_why_and_until_when() -> None:
    text = explain.render(decision(SetFloor(GATE, 7, 45_300.0), reasons=(PRESCALE,)), clock)

    assert text == (
        "Raised the floor of shop/gateway from 4 to 7: demand will need more pods: 310 req/s (p95) by 12:34, "
        "ready pods carry 240 req/s and new pods need 45 s."
    )


def test_a_floor_raised_for_a_surge_says_who_counted_what() -> None:
    facts = {"floor_before": 2.0, "floor": 5.0, "rate_rps": 180.0, "known_rps": 60.0}
    surge = Reason(ReasonCode.DEMAND_SURGE, {**facts, "demand_rps": 216.0, "capacity_rps": 100.0, "lead_s": 30.0})

    text = explain.render(decision(SetFloor(GATE, 5, 45_300.0), reasons=(surge,), fast=True), clock)

    assert text == (
        "Raised the floor of shop/gateway from 2 to 5: demand is surging: the gateway counts 180 req/s where 60 req/s "
        "were known, 216 req/s are to come, ready pods carry 100 req/s and new pods need 30 s."
    )


def test_a_lowered_floor_says_so() -> None:
    falling = Reason(ReasonCode.DEMAND_FALLING, {"floor_before": 7.0, "floor": 6.0})

    text = explain.render(decision(SetFloor(GATE, 6, 45_300.0), reasons=(falling,)), clock)

    assert text == "Lowered the floor of shop/gateway from 7 to 6: demand is falling."


@pytest.mark.parametrize(("pods", "said"), [(0.0, "no pod"), (1.0, "1 pod"), (3.0, "3 pods")])
def test_falling_demand_is_told_in_pods(pods: float, said: str) -> None:
    falling = Reason(ReasonCode.DEMAND_FALLING, {"demand_rps": 21.0, "at_s": 45_240.0, "pods_needed": pods})

    assert (
        explain.render_reason(falling, clock) == f"demand is falling: at most 21 req/s (p95) by 12:34, work for {said}"
    )


@pytest.mark.parametrize("stage", ["coming", "on"])
def test_a_declared_event_is_told_with_its_stage(stage: str) -> None:
    declared = Reason(ReasonCode.DEMAND_DECLARED, {"event": "sale", "stage": stage, "multiplier": 4.0})

    assert explain.render_reason(declared, clock) == f"the declared event “sale” is {stage} (demand × 4)"


def test_doing_nothing_is_explained_too() -> None:
    fits = Reason(ReasonCode.DEMAND_FITS, {"demand_rps": 80.0, "at_s": 45_240.0, "capacity_rps": 120.0})

    assert explain.render(decision(reasons=(fits,)), clock) == (
        "Left shop/gateway as it is: demand stays within what is ready "
        "(at most 80 req/s at p95 until 12:34, ready pods carry 120 req/s)."
    )
    assert explain.render(decision(), clock) == "Left shop/gateway as it is: nothing needs doing."


def test_a_veto_says_what_was_wanted_and_what_stood_against_it() -> None:
    drain = Proposal(CART, Rung.DRAIN, SetTraffic(CART, "cart-1", on=False, expires_at_s=45_600.0), 0.8, (), True)
    cap = Reason(ReasonCode.DRAIN_CAP, {"drained": 1.0, "cap": 1.0, "pods": 4.0})

    text = explain.render(decision(vetoes=(Veto(drain, cap),)), clock)

    assert text.endswith(
        " Did not take cart-1 of shop/cart out of rotation until 12:40: "
        "too many pods would be out of rotation: 1 of 4 already are, 1 allowed."
    )


def test_what_a_mode_withholds_is_shown_as_what_would_be_done() -> None:
    mode = Reason(ReasonCode.MODE, {"mode": "Observe"})

    text = explain.render(decision(reasons=(PRESCALE, mode), withheld=(SetFloor(GATE, 7, 45_300.0),)), clock)

    assert text.endswith("is only shown. Would raise the floor of shop/gateway from 4 to 7.")


def test_a_leak_reads_with_its_units() -> None:
    leak = Reason(
        ReasonCode.FAILURE_EXPECTED,
        {
            "pod": "cart-1", "signal": "memory", "value": 401.7, "limit": 512.0, "hit_at_s": 45_600.0,
            "probability": 0.87, "threshold": 0.6, "pods_at_risk": 3.0, "replacing_all_s": 360.0, "lead_s": 45.0,
        },
    )  # fmt: skip

    assert explain.render_reason(leak, clock) == (
        "cart-1 is expected to fail at its memory limit: 402 MiB of 512 MiB now, there around 12:40, "
        "87 % likely to come before help would (acting at 60 %); 3 pods are at risk and replacing them takes 6 min"
    )


@pytest.mark.parametrize(
    ("signal", "value", "peers", "text"),
    [
        ("latency", 0.9, 0.1, "latency 900 ms against 100 ms"),
        ("errors", 0.5, 0.005, "error 50 % against 0.5 %"),
        ("replication_lag", 30.0, 0.5, "replication lag 30 s against 500 ms"),
        ("connection_pool", 18.0, 5.0, "connection pool 18 connections against 5 connections"),
    ],
)
def test_signals_have_units_of_their_own(signal: str, value: float, peers: float, text: str) -> None:
    odd = Reason(ReasonCode.OUTLIER, {"pod": "p", "signal": signal, "value": value, "peers": peers})

    assert explain.render_reason(odd, clock) == f"p is worse than its peers: {text}"


@pytest.mark.parametrize("code", ReasonCode)
def test_every_reason_has_a_phrase_and_reads_without_any_fact(code: ReasonCode) -> None:
    text = explain.render_reason(Reason(code), clock)

    assert code in PHRASES
    assert text and "{" not in text
    assert text.count("(") == text.count(")")


@pytest.mark.parametrize("code", ReasonCode)
def test_every_reason_reads_with_all_of_its_facts(code: ReasonCode) -> None:
    names = {name for piece in PHRASES[code] for name in explain.facts_in(piece)}
    words = {"pod": "cart-1", "signal": "memory", "node": "n1", "zone": "a"}
    facts: dict[str, float | str] = {name: words.get(name, 1.0) for name in names}

    text = explain.render_reason(Reason(code, facts), clock)

    assert "{" not in text
    assert text.count("(") == text.count(")")


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (SetFloor(CART, 3, 60.0), "set the floor of shop/cart to 3"),
        (SetScale(CART, 3, 60.0), "set the scale of shop/cart to 3"),
        (SetTraffic(CART, "p", on=True), "put p of shop/cart back into rotation"),
        (SetTraffic(CART, "p", on=False, expires_at_s=3600.0), "took p of shop/cart out of rotation until 01:00"),
        (DetachPod(CART, "p", 60.0), "began to replace p of shop/cart"),
        (ReattachPod(CART, "p"), "gave p back to shop/cart"),
        (EvictPod(CART, "p"), "evicted p of shop/cart, whose replacement serves"),
        (ShiftZone("a", (CART, GATE), 60.0), "took zone a out of rotation for shop/cart, shop/gateway until 00:01"),
        (RestoreZone("a", (CART,)), "put zone a back for shop/cart"),
        (SwitchOver("db", CART, "pg-0", "pg-1"), "switched db over from pg-0 to pg-1"),
        (SetBrownout(CART, 0.3, 60.0), "limited optional content of shop/cart to 30 % until 00:01"),
        (SetBrownout(CART, 1.0, 60.0), "allowed all optional content of shop/cart again"),
        (SetWeights(CART, {"p": 0.25}, 60.0), "weighted traffic of shop/cart (p 0.25) until 00:01"),
    ],
)
def test_every_action_reads_as_a_clause(action: Action, text: str) -> None:
    assert explain.render_action(action, clock) == text
