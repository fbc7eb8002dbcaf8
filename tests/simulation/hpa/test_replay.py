"""The case format of the HPA replay: one small case of every kind, and what a broken file is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulation.hpa.replay import HpaCasesInvalid, replay_file

WELL = {"phase": "Running", "ready": "True", "start_age_s": "zero", "ready_transition_age_s": "zero", "deleted": False}
TOLERANCE = {"down": 0.1, "up": 0.1}


def pods(*requests_m: Any) -> list[dict[str, Any]]:
    return [{"name": f"p{i}", **WELL, "container_requests_m": request} for i, request in enumerate(requests_m)]


def used(*usage_m: list[int]) -> list[dict[str, Any]]:
    return [
        {"pod": f"p{i}", "container_usage_m": usage, "timestamp_age_s": 0, "window_s": 60}
        for i, usage in enumerate(usage_m)
    ]


def write(folder: Path, *cases: dict[str, Any], **more: Any) -> Path:
    path = folder / "cases.json"
    path.write_text(json.dumps({"cases": list(cases), **more}), encoding="utf-8")
    return path


def case(kind: str, inputs: dict[str, Any], **expected: Any) -> dict[str, Any]:
    return {"id": 1, "kind": kind, "input": inputs, "expected": expected}


UTILIZATION = {"current_replicas": 2, "target_utilization_pct": 50, "tolerance": TOLERANCE}
RECONCILE = {
    "min": 1, "max": 10, "spec_replicas": 2, "status_replicas": 2, "cpu_target_pct": 50,
    "pod_usage_m": [900, 700], "pod_requests_m": [1000, 1000], "recommendations": "seed", "behavior": None,
    "other_metrics": [],
}  # fmt: skip

CASES = [
    # (300 + 500 + 500 + 300)/4000 = 40 %, 0.8, ceil(1.6) = 2
    case(
        "resource_utilization",
        UTILIZATION | {"pods": pods([1000, 1000], [1000, 1000]), "metrics": used([300, 500], [500, 300])},
        replicas=2, utilization_pct=40, raw_average_m=800,
    ),
    # container2: (900 + 700)/2000 = 80 %, 1.6, ceil(3.2) = 4
    case(
        "resource_utilization",
        UTILIZATION
        | {"container": "container2", "pods": pods([9, 1000], [9, 1000]), "metrics": used([9, 900], [9, 700])},
        replicas=4, utilization_pct=80, raw_average_m=800,
    ),
    # p1's container2 is silent, so p1 is missing: 1.8 over p0, with p1 idle 45 %, r' = 0.9: stays
    case(
        "resource_utilization",
        UTILIZATION | {"container": "container2", "pods": pods([9, 1000], [9, 1000]), "metrics": used([9, 900], [9])},
        replicas=2, utilization_pct=90, raw_average_m=900,
    ),
    case(
        "resource_utilization",
        UTILIZATION | {"pods": pods([1000], None), "metrics": used([900], [900])},
        error="missing_request",
    ),
    case("resource_utilization", UTILIZATION | {"pods": pods([1000]), "metrics": []}, error="no_metrics"),
    case(
        "metric_pods",
        {"current_replicas": 2, "target_m": 15_000, "levels_m": [30_000, None], "pods": pods(None, None)},
        replicas=2, usage_m=30_000,  # r = 2, missing at 0: 15/15 = 1
    ),
    case(
        "metric_object_value",
        {"current_replicas": 2, "target_m": 10_000, "levels_m": [25_000], "pods": pods(None, None)},
        replicas=5, usage_m=25_000,
    ),
    case(
        "metric_object_average_value",
        {"current_replicas": 3, "target_m": 5000, "levels_m": [20_000], "pods": []},
        replicas=4, usage_m=6667,
    ),
    case(
        "metric_external_value",
        {"current_replicas": 2, "target_m": 10_000, "levels_m": [20_000, 5_000], "pods": pods(None, None)},
        replicas=5, usage_m=25_000,
    ),
    case(
        "metric_external_average_value",
        {"current_replicas": 3, "target_m": 5000, "levels_m": [20_000]},
        replicas=4, usage_m=6667,
    ),
    case(
        "group_pods",
        {
            "resource": "cpu", "cpu_initialization_period_s": 120, "initial_readiness_delay_s": 10,
            "pods": [
                {"name": "a", "phase": "Running", "ready": "True", "start_age_s": 100, "ready_transition_age_s": 30,
                 "metric": {"value": 1, "timestamp_age_s": 0, "window_s": 31}},
                {"name": "b", "phase": "Running", "ready": "absent", "start_age_s": "absent", "metric": None},
                {"name": "c", "phase": "Failed", "ready": None},
            ],
        },
        ready_count=0, unready=["a"], missing=["b"], ignored=["c"],
    ),
    case("convert_without_behavior", {"current_replicas": 5, "desired_replicas": 30, "min": 1, "max": 50},
         replicas=10, condition="ScaleUpLimit"),
    case(
        "convert_with_behavior",
        {"current_replicas": 10, "desired_replicas": 50, "min": 1, "max": 99, "scale_up": None,
         "up_events": [{"change": 5, "age_s": 10}], "down_events": []},
        replicas=10, condition="ScaleUpLimit",  # 5 ago: 5 + 4 or 10, whichever is more
    ),
    case("scale_up_limit", {"current_replicas": 1, "rules": {"select": "Min", "policies": [
        {"type": "Pods", "value": 2, "period_s": 60}, {"type": "Percent", "value": 50, "period_s": 60}]}}, limit=2),
    case("scale_down_limit", {"current_replicas": 5, "rules": {"select": "Disabled", "policies": [
        {"type": "Pods", "value": 2, "period_s": 60}]}}, limit=5),
    case("stabilize_without_behavior",
         {"window_s": 300, "recommendations": [{"replicas": 9, "age_s": 400}], "desired_replicas": 5},
         replicas=5, stored_length=1),
    case("stabilize_with_behavior",
         {"scale_up_window_s": 0, "scale_down_window_s": 60, "current_replicas": 9, "desired_replicas": 2,
          "recommendations": [{"replicas": 4, "age_s": 30}]}, replicas=4, stored=[4, 2]),
    case("stabilize_with_behavior",
         {"scale_up_window_s": 0, "scale_down_window_s": 0, "current_replicas": 9, "desired_replicas": 2,
          "recommendations": []}, replicas=2, stored=None),
    case("store_scale_event", {"events": [{"change": 7, "age_s": 61}], "policies": None, "new_change": 5,
                               "query_period_s": 60},
         change_in_period_before_store=0, events_after=[{"change": 7, "outdated": False}]),
    case("store_scale_event", {"events": [{"change": 7, "age_s": 50}], "new_change": 5, "query_period_s": 60,
                               "policies": [{"type": "Pods", "value": 1, "period_s": 30}]},
         change_in_period_before_store=7, events_after=[{"change": 5, "outdated": False}]),
    case("reconcile", RECONCILE, replicas=4, condition="DesiredWithinRange"),  # 80 %: ceil(1.6 · 2)
    case("reconcile", RECONCILE | {"pod_usage_m": [100, 100]}, replicas=2, condition="ScaleDownStabilized"),
    case("reconcile", RECONCILE | {"pod_usage_m": [100, 100], "recommendations": []}, replicas=1),
    case("reconcile", RECONCILE | {"pod_usage_m": [100, 100], "recommendations": [],
                                   "other_metrics": ["failed external metric"]},
         replicas=2, condition="FailedGetExternalMetric"),
    case("reconcile", RECONCILE | {"cpu_target_pct": None, "spec_replicas": 0},
         replicas=0, condition="ScalingDisabled"),
    case("reconcile", RECONCILE | {"tolerance": {"down": 0.1, "up": 0.7}}, replicas=2),
]  # fmt: skip


@pytest.mark.parametrize("one", CASES, ids=[f"{i}-{one['kind']}" for i, one in enumerate(CASES)])
def test_a_case_is_answered_with_the_names_it_asks_for(tmp_path: Path, one: dict[str, Any]) -> None:
    assert list(replay_file(write(tmp_path, one))) == [{"id": 1, **one["expected"]}]


def test_cases_come_back_in_order_derived_ones_last(tmp_path: Path) -> None:
    first, second, derived = (CASES[-1] | {"id": name} for name in ("first", 2, "derived"))

    answers = replay_file(write(tmp_path, first, second, derived_cases=[derived]))

    assert [answer["id"] for answer in answers] == ["first", 2, "derived"]


def test_the_headers_constants_hold_where_a_case_states_none(tmp_path: Path) -> None:
    young = dict(WELL, start_age_s=200, ready_transition_age_s=1)
    inputs = {
        "pods": [{"name": "p0", **young, "metric": {"value": 1, "timestamp_age_s": 0, "window_s": 60}}],
        "resource": "cpu",
    }
    asked = case("group_pods", inputs, ready_count=0)

    production = next(replay_file(write(tmp_path, asked)))
    shorter = next(replay_file(write(tmp_path, asked, header={"test_constants": {"cpu_initialization_period_s": 120}})))

    assert (production["ready_count"], shorter["ready_count"]) == (0, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("{", "not JSON", id="not-json"),
        pytest.param('{"things": []}', 'no list "cases"', id="no-cases"),
        pytest.param('{"cases": {}}', "field cases: expected a list", id="cases-not-a-list"),
        pytest.param('{"cases": [{"kind": "reconcile"}]}', r"cases\[0\], field id", id="no-id"),
        pytest.param(
            '{"cases": [{"id": 7, "kind": "magic", "input": {}, "expected": {}}]}', r"\(id 7\), field kind", id="kind"
        ),
        pytest.param(
            '{"cases": [{"id": 7, "kind": "metric_pods", "input": {"target_m": 0}, "expected": {}}]}',
            r"\(id 7\), input, field target_m: expected a whole number above zero, found 0",
            id="zero-target",
        ),
        pytest.param(
            '{"cases": [{"id": 7, "kind": "convert_without_behavior", "input": {"current_replicas": "x"}, '
            '"expected": {}}]}',
            r"\(id 7\), input, field current_replicas: expected a whole number, found 'x'",
            id="wrong-type",
        ),
        pytest.param('{"cases": [{"id": 7, "kind": "reconcile", "input": {}}]}', "id 7.*expected", id="no-expected"),
    ],
)
def test_a_broken_file_is_told_where_and_how_to_mend_it(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(HpaCasesInvalid, match=message):
        list(replay_file(path))


def test_a_missing_file_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(HpaCasesInvalid, match="cannot be read"):
        list(replay_file(tmp_path / "none.json"))
