"""Reading resources: every mistake is named with its field and the fix, and nothing crashes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from policies_as_written import CART, GATEWAY, POSTGRES, body, event, policy

from foresail.resources.crd import crd
from foresail.resources.policy_resource import MOST_PROBLEMS, read_policy
from foresail.resources.problems import PolicyName, ProblemKind
from foresail.resources.spec import Spec

#: The same examples in every run and no time limit: this machine may be busy.
REPEATABLE = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)

_RULES_BROKEN = [
    pytest.param({"targets": [{"name": "a"}]}, "spec.targets[0].workload", "keep one", id="neither-name-nor-labels"),
    pytest.param(
        {"targets": [{**GATEWAY, "selector": {"matchLabels": {"app": "web"}}}]},
        "spec.targets[0].workload",
        "keep one",
        id="name-and-labels",
    ),
    pytest.param(
        {"targets": [GATEWAY, {"name": "cart", "workload": {"name": "cart"}, "role": "Driven"}]},
        "spec.targets[1].drivenBy",
        "set both or neither",
        id="driven-by-nobody",
    ),
    pytest.param(
        {"targets": [{**GATEWAY, "scaling": {"minReplicas": 4, "maxReplicas": 2}}]},
        "spec.targets[0].scaling.minReplicas",
        "lower minReplicas",
        id="bounds-of-a-target-crossed",
    ),
    pytest.param(
        {"scaling": {"minReplicas": 9, "maxReplicas": 3}},
        "spec.scaling.minReplicas",
        "lower minReplicas or raise maxReplicas",
        id="bounds-crossed",
    ),
    pytest.param(
        {"scaling": {"safeReplicas": 9, "maxReplicas": 3}},
        "spec.scaling.safeReplicas",
        "lower safeReplicas",
        id="safe-above-most",
    ),
    pytest.param(
        {"scaling": {"targetUtilizationRatio": 0.9, "saturationUtilizationRatio": 0.8}},
        "spec.scaling.targetUtilizationRatio",
        "lower targetUtilizationRatio",
        id="target-above-saturation",
    ),
    pytest.param(
        {"healing": {"actProbability": 0.3, "releaseProbability": 0.3}},
        "spec.healing.releaseProbability",
        "lower releaseProbability",
        id="no-hysteresis",
    ),
    pytest.param(
        {"metrics": {"preset": "custom"}}, "spec.metrics.expressions", "add at least", id="custom-without-demand"
    ),
    pytest.param(
        {"failureSignals": [{"kind": "Errors", "limit": 5}]},
        "spec.failureSignals[0].limit",
        "at most 1",
        id="errors-in-percent",
    ),
    pytest.param(
        {
            "events": [
                event(recurrence={"rrule": "FREQ=DAILY", "start": "2026-01-01T08:00:00"}, start="2026-01-01T00:00:00Z")
            ]
        },
        "spec.events[0].start",
        "keep one",
        id="once-and-again",
    ),
    pytest.param(
        {"events": [event(rampSeconds=601)]}, "spec.events[0].rampSeconds", "shorten the ramp", id="ramp-too-long"
    ),
    pytest.param(
        {"targets": [GATEWAY, {**CART, "drivenBy": "postgres"}, POSTGRES]},
        "spec.targets",
        "role Entry: use the name of one",
        id="driven-by-a-store",
    ),
    pytest.param(
        {"targets": [{**GATEWAY, "scaling": {"minReplicas": 101}}]},
        "spec.targets",
        "what it leaves out comes from spec.scaling",
        id="bounds-crossed-between-target-and-policy",
    ),
    pytest.param(
        {"targets": [{**GATEWAY, "scaling": {"safeReplicas": 101}}]},
        "spec.targets",
        "lower safeReplicas",
        id="safe-above-most-between-target-and-policy",
    ),
    pytest.param(
        {"failureSignals": [{"kind": "Memory", "target": "cart"}]},
        "spec.failureSignals",
        "leave it empty",
        id="limit-of-a-stranger",
    ),
    pytest.param(
        {"databases": [{"target": "gateway", "scope": "shop"}]},
        "spec.databases",
        "role Store",
        id="database-that-is-no-store",
    ),
    pytest.param({"brownout": {"target": "cart"}}, "spec.brownout", "use the name of one", id="brownout-of-a-stranger"),
    pytest.param({"events": [event(targets=["cart"])]}, "spec.events", "leave them empty", id="event-of-a-stranger"),
    pytest.param(
        {"zones": {"shiftEnabled": True}, "healing": {"highestRung": "Replace"}},
        "spec.zones",
        "leave zone shift off",
        id="zone-shift-above-the-highest-rung",
    ),
]


@pytest.mark.parametrize(("spec", "field", "words"), _RULES_BROKEN)
def test_a_broken_rule_names_the_field_and_the_fix(spec, field, words):
    resource = read_policy(body(**spec))

    assert resource.spec is None
    assert [(p.field, p.kind) for p in resource.problems] == [(field, ProblemKind.INVALID)]
    assert words in resource.problems[0].message


def test_every_rule_is_broken_by_some_example():
    def rules(node):
        yield from (rule["message"] for rule in node.get("x-kubernetes-validations", ()))
        for child in (*node.get("properties", {}).values(), *([node["items"]] if "items" in node else [])):
            yield from rules(child)

    schema = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    told = {read_policy(body(**example.values[0])).problems[0].message for example in _RULES_BROKEN}

    assert set(rules(schema)) == told


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        pytest.param({"scalling": {}}, "spec.scalling", "correct its name", id="typo"),
        pytest.param({"targets": []}, "spec.targets", "give at least 1", id="no-target"),
        pytest.param({"mode": "enforce"}, "spec.mode", "'Observe', 'Recommend' or 'Enforce'", id="mode-in-lower-case"),
        pytest.param(
            {"scaling": {"minReplicas": "2"}}, "spec.scaling.minReplicas", "valid integer", id="text-for-number"
        ),
        pytest.param(
            {"scaling": {"minReplicas": True}}, "spec.scaling.minReplicas", "valid integer", id="yes-for-number"
        ),
        pytest.param({"scaling": {"minReplicas": 2.5}}, "spec.scaling.minReplicas", "valid integer", id="half-a-pod"),
        pytest.param({"scaling": {"cvarLevel": float("nan")}}, "spec.scaling.cvarLevel", "finite", id="not-a-number"),
        pytest.param({"scaling": {"cvarLevel": float("inf")}}, "spec.scaling.cvarLevel", "finite", id="infinity"),
        pytest.param({"objectives": {"availability": 99.9}}, "spec.objectives.availability", "0.99999", id="percent"),
        pytest.param(
            {"targets": [{"name": "a", "workload": {}}]}, "spec.targets[0].workload.name", "add it", id="nameless"
        ),
        pytest.param({"targets": {"name": "a"}}, "spec.targets", "should be a list", id="map-for-list"),
        pytest.param({"targets": [GATEWAY, GATEWAY]}, "spec.targets", "'gateway' twice", id="double"),
        pytest.param(
            {"failureSignals": [{"kind": "Disk", "limit": 1}, {"kind": "Disk", "limit": 2}]},
            "spec.failureSignals",
            "'Disk' twice",
            id="double-with-a-default-in-its-key",
        ),
        pytest.param(
            {"events": [event(targets=["gateway", "gateway"])]}, "spec.events[0].targets", "twice", id="double-text"
        ),
        pytest.param(
            {"events": [event(start="2026-11-27T08:00:00")]}, "spec.events[0].start", "pattern", id="no-offset"
        ),
        pytest.param(
            {"events": [event(start="2026-02-30T08:00:00Z")]}, "spec.events[0].start", "no date", id="30-february"
        ),
        pytest.param(
            {"databases": [{"target": "p", "scope": "s", "credentialsFile": "../other/secret"}]},
            "spec.databases[0].credentialsFile",
            "pattern",
            id="file-of-somebody-else",
        ),
        pytest.param("many", "spec", "should be an object", id="text-for-spec"),
    ],
)
def test_a_wrong_value_is_named(spec, field, words):
    written = body(**spec) if isinstance(spec, dict) else {**body(), "spec": spec}

    resource = read_policy(written)

    assert resource.spec is None
    assert field in [problem.field for problem in resource.problems]
    assert words in next(problem.message for problem in resource.problems if problem.field == field)


@pytest.mark.parametrize(
    ("recurrence", "field", "words"),
    [
        ({"rrule": "FREQ=HOURLY"}, "rrule", "use one of DAILY"),
        ({"rrule": "FREQ=DAILY", "timeZone": "Mars/Olympus"}, "timeZone", "IANA name"),
        ({"rrule": "FREQ=DAILY", "timeZone": "Europe"}, "timeZone", "IANA name"),
        ({"rrule": "FREQ=DAILY", "start": "2026-02-30T00:00:00"}, "start", "correct the day"),
    ],
)
def test_a_wrong_recurrence_is_named(recurrence, field, words):
    resource = read_policy(body(events=[event(recurrence={"start": "2026-01-01T08:00:00", **recurrence})]))

    assert [problem.field for problem in resource.problems] == [f"spec.events[0].recurrence.{field}"]
    assert words in resource.problems[0].message


def test_all_mistakes_are_told_at_once():
    resource = read_policy(body(mode="On", scaling={"minReplicas": 0, "maxReplicas": 0}, guardrails={"stormActs": 0}))

    assert {problem.field for problem in resource.problems} == {
        "spec.mode",
        "spec.scaling.minReplicas",
        "spec.scaling.maxReplicas",
        "spec.guardrails.stormActs",
    }


def test_null_is_the_same_as_left_out():
    assert policy(scaling={"minReplicas": None}, brownout=None).spec == policy().spec


def test_a_resource_of_another_kind_or_version_is_refused():
    resource = read_policy({**body(), "apiVersion": "foresail.dev/v2"})

    assert resource.spec is None
    assert resource.problems[0].field == "apiVersion"
    assert "write foresail.dev/v1alpha1" in resource.problems[0].message


def test_what_a_file_leaves_out_is_filled_in():
    resource = read_policy({**body(), "metadata": {"name": "shop"}})

    assert resource.name == PolicyName("default", "shop")
    assert resource.created_at_s == 0.0
    assert resource.spec is not None


def test_reads_when_a_policy_was_created():
    assert policy(created="1970-01-02T00:00:00Z").created_at_s == 86_400.0


@pytest.mark.parametrize(("value", "paused"), [("true", True), ("false", False), ("yes", True), (True, True)])
def test_the_pause_annotation_stops_whatever_it_was_meant_to_say(value, paused):
    written = body()
    written["metadata"]["annotations"] = {"foresail.dev/paused": value}

    resource = read_policy(written)

    assert resource.paused is paused
    assert resource.spec is not None
    assert bool(resource.problems) is (value not in ("true", "false"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_FIELDS = st.sampled_from(sorted(field.alias or name for name, field in Spec.model_fields.items()))


@REPEATABLE
@given(JSON)
def test_nothing_crashes_whatever_the_body_is(value):
    resource = read_policy(value)

    assert resource.spec is None
    assert resource.problems


@REPEATABLE
@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status", "apiVersion", "kind"]), JSON))
def test_nothing_crashes_whatever_a_part_is(parts):
    resource = read_policy({**body(), **parts})

    assert (resource.spec is not None) or resource.problems
    assert len(resource.problems) <= MOST_PROBLEMS


@REPEATABLE
@given(st.dictionaries(_FIELDS, JSON))
def test_nothing_crashes_whatever_a_section_is(sections):
    resource = read_policy(body(**sections))

    assert (resource.spec is not None) or all(problem.field.startswith("spec") for problem in resource.problems)
    assert all(problem.message and ": " in problem.message for problem in resource.problems)
