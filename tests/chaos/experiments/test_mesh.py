import re

import pytest

from chaos.experiments.mesh.objects import DIFFERENCE, MeshTarget, duration, mesh_objects
from simulation.scenario import CROWDS, FaultKind, load_scenario, shipped_scenarios

TARGET = MeshTarget("shop", "shop", {"a": "zone-a", "b": "zone-b", "c": "zone-c"}, prometheus={"app": "prometheus"})

#: The parts of Chaos Mesh's API types that are used here: required fields, further ones, and allowed actions.
SELECTOR = {"selector", "mode"}
TYPES = {
    "PodChaos": (SELECTOR | {"action"}, {"value", "duration", "containerNames", "gracePeriod"}),
    "NetworkChaos": (SELECTOR | {"action"}, {"value", "duration", "delay", "direction", "target"}),
    "StressChaos": (SELECTOR | {"stressors"}, {"value", "duration", "containerNames"}),
    "HTTPChaos": (SELECTOR | {"target", "port"}, {"value", "duration", "path", "replace", "method"}),
    "Schedule": ({"schedule", "type"}, {"historyLimit", "concurrencyPolicy", "podChaos"}),
}
ACTIONS = {
    "PodChaos": {"pod-kill", "pod-failure", "container-kill"},
    "NetworkChaos": {"delay", "loss", "duplicate", "corrupt", "partition"},
}
MODES = {"one", "all", "fixed", "fixed-percent", "random-max-percent"}
SELECTORS = {"namespaces", "labelSelectors", "nodeSelectors", "pods", "nodes", "expressionSelectors"}
GO_DURATION = re.compile(r"\d+(ms|s)")


def check(kind, spec):
    required, further = TYPES[kind]
    assert required <= set(spec) <= required | further
    if kind == "Schedule":
        check(spec["type"], spec["podChaos"])
        return
    assert set(spec["selector"]) <= SELECTORS and spec["selector"]["namespaces"]
    assert spec["mode"] in MODES
    assert ("value" in spec) == (spec["mode"] in {"fixed", "fixed-percent", "random-max-percent"})
    assert isinstance(spec.get("value", ""), str)
    assert spec.get("action") in ACTIONS.get(kind, {None})
    if "duration" in spec:
        assert GO_DURATION.fullmatch(spec["duration"])
    if kind == "NetworkChaos" and spec["action"] == "partition":
        assert set(spec["target"]) >= SELECTOR and spec["direction"] == "both"


def rendered(scenario, **fault):
    return mesh_objects(scenario(faults=[{"start_s": 60, "duration_s": 120, **fault}]), TARGET)


@pytest.mark.parametrize("name", shipped_scenarios())
def test_every_fault_of_every_shipped_scenario_is_rendered_or_has_a_reason(name):
    scenario = load_scenario(name)

    objects, missing = mesh_objects(scenario, TARGET)

    for one in objects:
        assert one["apiVersion"] == "chaos-mesh.org/v1alpha1"
        assert len(one["metadata"]["name"]) <= 57  # Schedules put six characters behind it
        check(one["kind"], one["spec"])
    told = {int(re.fullmatch(r".*?-(\d+)(-\d+)?", o["metadata"]["name"].removeprefix(name[:40]))[1]) for o in objects}
    faults = {i for i, f in enumerate(scenario.faults) if f.kind not in CROWDS}
    assert told | {m.index for m in missing} == faults
    assert all(m.why for m in missing)


def test_crashing_pods_are_as_many_as_the_fault_hits(scenario):
    [one], _ = rendered(scenario, kind="pod_crash", service="gateway", pods=2)

    assert one["spec"] == {
        "selector": {
            "namespaces": ["shop"],
            "labelSelectors": {"app.kubernetes.io/instance": "shop", "app.kubernetes.io/component": "gateway"},
        },
        "mode": "fixed",
        "value": "2",
        "action": "container-kill",
        "containerNames": ["gateway"],
    }


def test_a_crash_loop_is_a_schedule(scenario):
    [one], _ = rendered(scenario, kind="crash_loop", service="gateway", magnitude=0.5)

    assert one["kind"] == "Schedule" and one["spec"]["schedule"] == "@every 20s"
    assert one["spec"]["podChaos"]["value"] == "50"


def test_a_leak_grows_in_a_line_to_what_it_would_have_taken(scenario):
    [one], _ = rendered(scenario, kind="memory_leak", service="catalog", magnitude=30)

    # 30 MiB a minute for two minutes.
    assert one["spec"]["stressors"]["memory"] == {"workers": 1, "size": "60MB", "time": "120s"}


def test_a_burn_of_more_than_a_core_takes_several_workers(scenario):
    [one], _ = rendered(scenario, kind="cpu_burn", service="gateway", magnitude=1.5)

    assert one["spec"]["stressors"]["cpu"] == {"workers": 2, "load": 75}


def test_a_delay_tells_that_it_has_no_ramp(scenario):
    [one], _ = rendered(scenario, kind="latency_creep", service="catalog", magnitude=0.25, ramp_s=60)

    assert one["spec"]["delay"]["latency"] == "250ms"
    assert "no ramp: at once, not over 60 s" in one["metadata"]["annotations"][DIFFERENCE]


def test_a_zone_is_cut_from_each_other_one(scenario):
    objects, _ = rendered(scenario, kind="zone_cut", zone="b")

    cut = [(o["spec"]["selector"]["nodeSelectors"], o["spec"]["target"]["selector"]["nodeSelectors"]) for o in objects]
    label = "topology.kubernetes.io/zone"
    assert cut == [({label: "zone-b"}, {label: "zone-a"}), ({label: "zone-b"}, {label: "zone-c"})]
    assert len({o["metadata"]["name"] for o in objects}) == 2


def test_the_primary_is_found_by_the_label_that_patroni_gives_it(scenario):
    [one], _ = rendered(scenario, kind="primary_loss", service="postgres")

    assert one["spec"]["selector"]["labelSelectors"]["demo-shop/database-role"] == "primary"
    assert one["spec"]["mode"] == "one"


def test_what_chaos_mesh_cannot_do_has_a_reason(scenario):
    objects, [missing] = rendered(scenario, kind="node_loss")

    assert objects == () and missing.why == "it has no faults of nodes"


def test_crowds_are_load(scenario):
    assert rendered(scenario, kind=FaultKind.FLASH_SALE, magnitude=2) == ((), ())


@pytest.mark.parametrize(("seconds", "text"), [(90.0, "90s"), (0.25, "250ms"), (1.5, "1500ms")])
def test_durations_are_written_as_go_reads_them(seconds, text):
    assert duration(seconds) == text
