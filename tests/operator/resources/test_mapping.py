"""From resources and workloads to the decision core's policies and the adapters' bindings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from policies_as_written import CART, GATEWAY, POSTGRES, body, event, policy

from foresail.resources.bindings import EndpointBinding, PatroniBinding
from foresail.resources.mapping import mapped
from foresail.resources.matching import WorkloadRef, one_of_each_name
from foresail.resources.metric_sources import FailureSignalKind, MetricPreset, MetricSignal
from foresail.resources.policy_resource import read_policy
from foresail.resources.problems import PolicyName, ProblemKind
from policies.loop import declared_events
from policies.model import (
    BrownoutPolicy,
    Guardrails,
    HealingPolicy,
    Mode,
    PolicySet,
    Rung,
    ScalingPolicy,
    SignalKind,
    WorkloadPolicy,
)

NOW_S = 1_795_766_400.0  # 2026-11-27T08:00:00Z
SHOP = (
    WorkloadRef("shop", "gateway", "Deployment", {"app": "gateway", "tier": "web"}),
    WorkloadRef("shop", "cart", "Deployment", {"app": "cart", "tier": "web"}),
    WorkloadRef("shop", "postgres", "StatefulSet", {"app": "postgres"}),
)


def policies_of(*resources, workloads=SHOP):
    return mapped(resources, workloads, NOW_S).policies.workloads


def problems_of(*resources, workloads=SHOP):
    return mapped(resources, workloads, NOW_S).problems


def test_defaults_are_the_cores_own_except_that_a_policy_only_observes():
    found = mapped([policy()], SHOP, NOW_S)
    policies, problems = found.policies, found.problems

    assert policies == PolicySet({"shop/gateway": WorkloadPolicy("shop/gateway", mode=Mode.OBSERVE)})
    assert problems == ()


def test_everything_that_is_declared_arrives():
    resource = policy(
        mode="Enforce",
        targets=[{**GATEWAY, "objectives": {"latencySeconds": 0.5}}],
        objectives={"availability": 0.99, "latencySeconds": 2},
        scaling={
            "minReplicas": 2,
            "maxReplicas": 20,
            "safeReplicas": 3,
            "targetUtilizationRatio": 0.6,
            "saturationUtilizationRatio": 0.8,
            "capacityPriorRequestsPerSecond": 50,
            "leadTimePriorSeconds": 30,
            "violationCostPods": 10,
            "cvarLevel": 0.9,
            "floorTtlSeconds": 120,
            "descendPodsPerMinute": 2,
            "descendRatioPerMinute": 0.2,
        },
        healing={
            "highestRung": "Drain",
            "actProbability": 0.7,
            "releaseProbability": 0.2,
            "marginSeconds": 60,
            "replaceAllowed": False,
            "actTtlSeconds": 300,
        },
        brownout={"target": "gateway", "lowestCeiling": 0.2, "ttlSeconds": 30, "optionalCostRatio": 0.4},
        guardrails={
            "clusterHealthFloorRatio": 0.6,
            "drainCapRatio": 0.2,
            "cooldownSeconds": 60,
            "stormWindowSeconds": 300,
            "stormActs": 4,
            "stormRatio": 0.5,
            "extraPodHoursPerDay": 12,
        },
    )

    assert policies_of(resource)["shop/gateway"] == WorkloadPolicy(
        workload="shop/gateway",
        mode=Mode.ENFORCE,
        slo_latency_s=0.5,
        slo_availability=0.99,
        scaling=ScalingPolicy(2, 20, 3, 0.6, 0.8, 50.0, 30.0, 10.0, 0.9, 120.0, 2.0, 0.2),
        healing=HealingPolicy(Rung.DRAIN, 0.7, 0.2, 60.0, False, 300.0),
        brownout=BrownoutPolicy(True, 0.2, 30.0, 0.4),
        guardrails=Guardrails(0.6, 0.2, 60.0, 300.0, 4, 0.5, False, 12.0),
    )


def test_a_targets_own_bounds_go_before_the_common_ones():
    resource = policy(
        targets=[{**GATEWAY, "scaling": {"maxReplicas": 8, "safeReplicas": 2}}, CART],
        scaling={"minReplicas": 2, "maxReplicas": 40},
    )

    found = policies_of(resource)

    assert found["shop/gateway"].scaling == replace(ScalingPolicy(), min_replicas=2, max_replicas=8, safe_replicas=2)
    assert found["shop/cart"].scaling == replace(ScalingPolicy(), min_replicas=2, max_replicas=40)


def test_roles_become_entries_and_stores():
    found = policies_of(policy(targets=[GATEWAY, CART, POSTGRES]))

    assert {name: (one.entry, one.stateless) for name, one in found.items()} == {
        "shop/gateway": (None, True),
        "shop/cart": ("shop/gateway", True),
        "shop/postgres": (None, False),
    }


def test_labels_match_what_no_name_has_taken():
    resource = policy(targets=[{"name": "web", "selector": {"matchLabels": {"tier": "web"}}}, CART, GATEWAY])

    answer = mapped([resource], SHOP, NOW_S)

    assert {key: binding.target for key, binding in answer.bindings.items()} == {
        "shop/gateway": "gateway",
        "shop/cart": "cart",
    }
    assert [(problem.kind, problem.field) for problem in answer.problems] == [
        (ProblemKind.NO_WORKLOAD, "spec.targets[0].selector")
    ]


def test_all_labels_must_fit_and_the_kind_too():
    both = {"name": "web", "selector": {"matchLabels": {"tier": "web", "app": "cart"}}}
    stateful = {"name": "db", "selector": {"kind": "StatefulSet", "matchLabels": {"app": "postgres"}}, "role": "Store"}

    assert set(policies_of(policy(targets=[both, stateful]))) == {"shop/cart", "shop/postgres"}


def test_workloads_of_other_namespaces_are_not_touched():
    elsewhere = WorkloadRef("other", "gateway", "Deployment", {"tier": "web"})

    assert policies_of(policy(), workloads=[elsewhere]) == {}


def test_a_missing_workload_is_told_with_the_kind_that_is_there():
    resource = policy(
        targets=[{"name": "db", "workload": {"name": "postgres"}}, {"name": "x", "workload": {"name": "nope"}}]
    )

    first, second = problems_of(resource)

    assert (first.kind, first.field) == (ProblemKind.NO_WORKLOAD, "spec.targets[0].workload")
    assert first.message.startswith("there is no Deployment shop/postgres, but a StatefulSet: correct kind or name")
    assert second.message == "there is no Deployment shop/nope: correct kind or name, or create it"


def test_a_kind_of_its_own_is_named_like_any_other_and_told_where_it_has_to_be_opened():
    target = {"name": "web", "workload": {"kind": "Rollout", "name": "web"}}
    rollout = WorkloadRef("shop", "web", "Rollout")

    assert mapped([policy(targets=[target])], [rollout], NOW_S).bindings["shop/web"].kind == "Rollout"
    (missing,) = problems_of(policy(targets=[target]))
    assert missing.message.startswith("there is no Rollout shop/web") and "scaleResources" in missing.message


def test_the_deployment_counts_where_two_kinds_share_a_name():
    twins = [WorkloadRef("shop", "gateway", kind) for kind in ("StatefulSet", "Deployment")]

    assert one_of_each_name(twins) == [twins[1]]


def test_the_older_of_two_policies_keeps_the_workload_and_both_are_told():
    older = policy("older", created="2026-01-01T00:00:00Z", mode="Enforce")
    younger = policy("younger", created="2026-02-01T00:00:00Z", targets=[GATEWAY, CART])

    answer = mapped([younger, older], SHOP, NOW_S)

    assert answer.bindings["shop/gateway"].policy == PolicyName("shop", "older")
    assert answer.policies.workloads["shop/gateway"].mode is Mode.ENFORCE
    conflicts = [problem for problem in answer.problems if problem.kind is ProblemKind.CONFLICT]
    assert {(c.policy.name, c.workload, c.field) for c in conflicts} == {
        ("older", "shop/gateway", "spec.targets[0]"),
        ("younger", "shop/gateway", "spec.targets[0]"),
    }
    assert all("remove it from one of the two" in conflict.message for conflict in conflicts)


def test_the_younger_policy_keeps_what_nobody_else_names():
    older = policy("older", created="2026-01-01T00:00:00Z")
    younger = policy("younger", created="2026-02-01T00:00:00Z", targets=[GATEWAY, CART])

    answer = mapped([younger, older], SHOP, NOW_S)

    assert answer.workloads_of(PolicyName("shop", "younger")) == ("shop/cart",)
    # Its gateway is under another policy now, so nothing drives the cart.
    assert answer.policies.workloads["shop/cart"].entry is None
    assert ProblemKind.ENTRY_UNCLEAR in [p.kind for p in answer.problems_of(PolicyName("shop", "younger"))]


def test_of_two_policies_of_one_age_the_first_by_name_wins_in_any_order():
    first, second = policy("a"), policy("b")

    for order in ([first, second], [second, first]):
        assert mapped(order, SHOP, NOW_S).bindings["shop/gateway"].policy.name == "a"


def test_an_invalid_policy_takes_no_workload_from_a_valid_one():
    invalid = read_policy(body("older", created="2025-01-01T00:00:00Z", mode="On"))
    valid = policy("younger")

    answer = mapped([invalid, valid], SHOP, NOW_S)

    assert answer.bindings["shop/gateway"].policy.name == "younger"
    assert [(p.policy.name, p.field) for p in answer.problems] == [("older", "spec.mode")]


def test_a_resource_told_twice_counts_once():
    assert problems_of(policy(), policy()) == ()


def test_an_entry_that_is_several_workloads_drives_nobody():
    web = {"name": "gateway", "selector": {"matchLabels": {"tier": "web"}}}
    driven = {
        "name": "db",
        "workload": {"kind": "StatefulSet", "name": "postgres"},
        "role": "Driven",
        "drivenBy": "gateway",
    }

    found = mapped([policy(targets=[web, driven])], SHOP, NOW_S)
    policies, problems = found.policies, found.problems

    assert policies.workloads["shop/postgres"].entry is None
    assert [(p.kind, p.field) for p in problems] == [(ProblemKind.ENTRY_UNCLEAR, "spec.targets[1].drivenBy")]
    assert "matches 2 workloads" in problems[0].message


def test_pause_and_kill_switch_reach_the_guardrails():
    paused = replace(policy(), paused=True)

    policies = mapped([paused], SHOP, NOW_S, kill_switch=True).policies

    assert policies.workloads["shop/gateway"].guardrails.paused
    assert policies.kill_switch


def test_an_event_without_targets_concerns_every_entry_and_what_it_drives():
    resource = policy(targets=[GATEWAY, CART, POSTGRES], events=[event()])

    policies = mapped([resource], SHOP, NOW_S).policies

    assert [name for name, one in policies.workloads.items() if one.events] == ["shop/gateway"]
    (told,) = declared_events(policies)
    assert set(told.series) == {"shop/gateway", "shop/cart"}


def test_an_event_with_targets_concerns_only_these():
    found = policies_of(policy(targets=[GATEWAY, CART], events=[event(targets=["cart"])]))

    assert [name for name, one in found.items() if one.events] == ["shop/cart"]


def test_an_event_that_is_cut_short_is_a_problem_of_its_field():
    daily = event(recurrence={"rrule": "FREQ=DAILY", "start": "2026-01-01T08:00:00"}, durationSeconds=100_000)

    (problem,) = problems_of(policy(events=[daily]))

    assert (problem.kind, problem.field) == (ProblemKind.EVENT_DROPPED, "spec.events[0]")


@pytest.mark.parametrize(
    ("zones", "rung"), [({}, Rung.SWITCH_OVER), ({"shiftEnabled": True}, Rung.SHIFT_ZONE)], ids=["off", "on"]
)
def test_zone_shift_must_be_asked_for(zones, rung):
    assert policies_of(policy(zones=zones))["shop/gateway"].healing.highest_rung is rung


def test_bindings_say_whom_to_ask():
    resource = policy(
        targets=[GATEWAY, POSTGRES],
        metrics={"preset": "istio", "expressions": [{"signal": "ConnectionPool", "promql": "pool_in_use"}]},
        databases=[
            {
                "target": "postgres",
                "scope": "shop-postgres",
                "scopeLabel": "shop/database",
                "labels": {"role": "db"},
                "restPort": 8009,
                "credentialsFile": "patroni",
            }
        ],
        brownout={"target": "gateway", "port": 9091, "tokenFile": "control-token"},
        drain={"timeoutSeconds": 20, "tokenFile": "control-token"},
        zones={"shiftEnabled": True},
    )

    answer = mapped([resource], SHOP, NOW_S)
    bindings = answer.bindings
    gateway, postgres = bindings["shop/gateway"], bindings["shop/postgres"]

    assert (gateway.kind, postgres.kind) == ("Deployment", "StatefulSet")
    assert (gateway.preset, gateway.expressions) == (
        MetricPreset.ISTIO,
        {MetricSignal.CONNECTION_POOL: "pool_in_use"},
    )
    assert gateway.brownout == EndpointBinding(9091, "/-/brownout", "shop/control-token")
    assert gateway.drain == EndpointBinding(9090, "/-/drain", "shop/control-token")
    assert answer.policies.workloads["shop/gateway"].healing.drain_limit_s == 20.0
    assert gateway.database is None
    assert postgres.brownout is None
    assert postgres.database == PatroniBinding(
        "shop-postgres", {"role": "db", "shop/database": "shop-postgres"}, None, 8009, "shop/patroni"
    )
    assert gateway.zone_shift


def test_a_limit_of_its_own_goes_before_the_common_one():
    resource = policy(
        targets=[GATEWAY, CART],
        failureSignals=[
            {"kind": "ConnectionPool", "limit": 20},
            {"kind": "ConnectionPool", "target": "cart", "limit": 5},
            {"kind": "Errors", "target": "cart", "enabled": False},
        ],
    )

    bindings = mapped([resource], SHOP, NOW_S).bindings

    assert bindings["shop/gateway"].signal_limits == {SignalKind.CONNECTION_POOL: 20.0}
    assert bindings["shop/cart"].signal_limits == {SignalKind.CONNECTION_POOL: 5.0}
    assert bindings["shop/gateway"].signals_off == frozenset()
    assert bindings["shop/cart"].signals_off == {SignalKind.ERRORS}


def test_every_failure_signal_of_the_core_can_be_declared():
    assert {kind.kind for kind in FailureSignalKind} == set(SignalKind)
    assert {signal.kind for signal in MetricSignal} - {None} == set(SignalKind)
