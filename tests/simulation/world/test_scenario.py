"""What a scenario file may say, and what people are told who say something else."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from simulation.scenario import ScenarioInvalid, ending_at, load_scenario, scenario_of, shipped_scenarios
from simulation.topology import MetricSpec, Service

NAN, INF = float("nan"), float("inf")
SMALL: dict[str, Any] = {
    "name": "small",
    "duration_s": 60,
    "load": {"rps": 5},
    "topology": {"services": [{"name": "web", "cpu_ms": 10, "hpa": {"max_replicas": 4}}]},
}
WEB = ("topology", "services", 0)
CRASH = {"kind": "pod_crash", "service": "web", "start_s": 1}


def with_value(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    raw = copy.deepcopy(SMALL)
    place: Any = raw
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("duration_s",), NAN, "duration_s: Input should be a finite number"),
        (("duration_s",), True, "duration_s is true: give a number"),
        (("warm_up_s",), INF, "warm_up_s: Input should be a finite number"),
        (("warm_up_s",), 1e9, "warm_up_s: Input should be less than or equal to"),
        (("load", "rps"), 1e9, "load.rps: Input should be less than or equal to 100000"),
        (("load", "knots"), [[0, INF]], "load.knots.0.1: Input should be a finite number"),
        (("load", "staircase"), [1, 1e6], "load: a load factor asks for more than 100000 requests/s"),
        (("slo",), {"latency_s": INF}, "slo.latency_s: Input should be a finite number"),
        (("restart_controller_at_s",), [90], "restart_controller_at_s.0: 90 is not in the run"),
        (("topology", "nodes"), [], "topology.nodes: Tuple should have at least 1 item"),
        (("topology", "services"), [], "topology.services: Tuple should have at least 1 item"),
        (("topology", "services"), "web", "topology.services: Input should be a valid tuple"),
        (("topology", "services"), ["web"], "topology.services.0: Input should be a valid dictionary"),
        (
            ("topology", "nodes"),
            [{"zone": "a", "cpu": 0.25}],
            "a pod of 'web' asks for 0.5 cores and 256 MiB, more than any node has",
        ),
        ((*WEB, "name"), "web shop", "topology.services.0.name: String should match"),
        ((*WEB, "replicas"), 10**9, "topology.services.0.replicas: Input should be less than or equal to 2000"),
        ((*WEB, "threads"), True, "threads is true: give a number"),
        ((*WEB, "cpu_request"), 3, "cpu_request is above cpu_limit"),
        ((*WEB, "memory_request_mib"), 600, "memory_request_mib is above memory_limit_mib"),
        ((*WEB, "cpu_idle"), 1.0, "cpu_idle reaches cpu_limit"),
        ((*WEB, "memory_limit_mib"), 160, "memory_base_mib reaches memory_limit_mib"),
        ((*WEB, "readiness"), {"period_s": 1e-9}, "readiness.period_s: Input should be greater than or equal to 0.1"),
        ((*WEB, "hpa", "metrics"), [], "hpa.metrics: Tuple should have at least 1 item"),
        ((*WEB, "hpa", "metrics"), [{"name": "disk"}], "there is no resource 'disk': use cpu or memory"),
        (
            (*WEB, "hpa", "metrics"),
            [{"type": "Object", "target_type": "Utilization"}],
            "a Object metric has no target_type Utilization: use Value or AverageValue",
        ),
        (
            ("topology", "classes"),
            [{"name": "r", "share": 1, "operation": "web.request"}] * 2,
            "two classes have the same name",
        ),
        (("faults",), [{**CRASH, "magnitude": INF}], "faults.0.magnitude: Input should be a finite number"),
        (("faults",), [{**CRASH, "announced": True}], "faults.0: announced is for crowds (flash_sale, viral_ramp)"),
        (
            ("faults",),
            [{**CRASH, "kind": "error_burst", "magnitude": 30}],
            "faults.0: magnitude 30 of a error_burst is a share: at most 1",
        ),
        (("faults",), [{**CRASH, "kind": "cache_loss"}], "faults.0.service: nothing falls back from 'web'"),
        (
            ("faults",),
            [{"kind": "flash_sale", "start_s": 1, "magnitude": 1e6}],
            "faults.0.magnitude: more than 100000 requests/s come",
        ),
    ],
)
def test_a_mistake_is_answered_with_its_place(path: tuple[str | int, ...], value: object, message: str) -> None:
    with pytest.raises(ScenarioInvalid) as refused:
        scenario_of(with_value(path, value), "small.yaml")

    assert str(refused.value).startswith("small.yaml: ")
    assert message in str(refused.value)


def test_a_request_that_is_not_written_follows_the_limit() -> None:
    service = Service(name="web", cpu_limit=0.3, memory_limit_mib=200)

    assert (service.cpu_request, service.memory_request_mib) == (0.3, 200)
    assert Service(name="web", cpu_limit=2).cpu_request == 0.5  # the default stands below the limit


@pytest.mark.parametrize("kind", ["Pods", "Object", "External"])
def test_metrics_that_are_no_resources_count_requests_per_second_and_pod(kind: str) -> None:
    metric = MetricSpec.model_validate({"type": kind, "target": 10})

    assert (metric.name, metric.target_type) == ("requests_per_second", "AverageValue")


def test_with_an_earlier_end_later_faults_do_not_happen() -> None:
    raw = with_value(("faults",), [CRASH, {**CRASH, "start_s": 40}]) | {"restart_controller_at_s": [10, 50]}

    shorter = ending_at(scenario_of(raw, "small.yaml"), 30, "small.yaml")

    assert shorter.duration_s == 30
    assert [fault.start_s for fault in shorter.faults] == [1]
    assert shorter.restart_controller_at_s == (10,)


@pytest.mark.parametrize("name", shipped_scenarios())
def test_a_shipped_scenario_says_what_it_is_about(name: str) -> None:
    scenario = load_scenario(name)

    assert scenario.name == name
    assert len(scenario.description.split()) > 5
