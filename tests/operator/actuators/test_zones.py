"""A zone out of rotation and back: labels, cordon, pods born meanwhile, and the nodes of other people."""

from __future__ import annotations

from typing import Any

import pytest
from act_stage import NOW_S, WEB, Stage, decision, pod

from foresail.actuators.refusals import RefusalReason
from policies.decision import RestoreZone, SetTraffic, ShiftZone

SHIFT = ShiftZone("a", (WEB,), NOW_S + 600.0)
RESTORE = RestoreZone("a", (WEB,))


@pytest.fixture(autouse=True)
def with_the_right_to_cordon(stage: Stage) -> None:
    stage.settings["zone_shift"] = True


def labels(stage: Stage) -> dict[str, str]:
    rows = stage.api.store.rows(stage.api.store.resource("v1", "pods"))
    return {name: row["metadata"]["labels"]["foresail.dev/traffic"] for (_, name), row in sorted(rows.items())}


def cordoned(stage: Stage) -> list[str]:
    return [name for name in ("n1", "n2", "n3") if stage.get("nodes", name)["spec"].get("unschedulable")]


def cordon(stage: Stage, name: str, on: bool = True) -> None:
    stage.sets("nodes", name, lambda node: node["spec"].update(unschedulable=on))


def intents(stage: Stage) -> str:
    found: str = stage.get("configmaps", "foresail-intents", "foresail")["data"]["intents"]
    return found


ALL_ON = {"web-1": "on", "web-2": "on", "web-3": "on", "web-4": "on"}
SHIFTED = ALL_ON | {"web-1": "off", "web-2": "off"}


def test_takes_the_zones_pods_out_and_cordons_its_nodes(stage: Stage) -> None:
    assert stage.cluster().apply(SHIFT, decision(), NOW_S)

    assert labels(stage) == SHIFTED and cordoned(stage) == ["n1", "n2"]
    assert all(line.startswith("PATCH") for line in stage.writes())


def test_writes_nothing_twice(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(SHIFT, decision(), NOW_S)
    before = stage.writes()

    assert cluster.apply(SHIFT, decision(), NOW_S + 10.0)
    assert stage.writes() == before


def test_restores_everything(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(SHIFT, decision(), NOW_S)

    assert cluster.apply(RESTORE, decision(), NOW_S + 120.0)

    assert labels(stage) == ALL_ON and cordoned(stage) == [] and stage.traces() == []
    assert intents(stage) == "[]"


def test_comes_back_by_itself(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(SHIFT, decision(), NOW_S)

    cluster.settle(NOW_S + 599.0)
    assert labels(stage) == SHIFTED
    cluster.settle(NOW_S + 600.0)
    assert labels(stage) == ALL_ON and cordoned(stage) == [] and stage.traces() == [] and intents(stage) == "[]"


def test_pods_born_meanwhile_go_out_too(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(SHIFT, decision(), NOW_S)
    stage.api.put(pod("web-5", "n2"))

    cluster.settle(NOW_S + 15.0)

    assert labels(stage)["web-5"] == "off"
    cluster.apply(RESTORE, decision(), NOW_S + 30.0)
    assert labels(stage) == ALL_ON | {"web-5": "on"}


def test_a_successor_does_what_was_left(stage: Stage) -> None:
    stage.api.fail(503, match="PATCH /api/v1/nodes", times=2)
    stage.api.cut(match="PATCH /api/v1/namespaces/shop/pods/web-2", times=1)
    assert not stage.cluster(epoch=1).apply(SHIFT, decision(), NOW_S)
    stage.api.heal()
    assert labels(stage) == ALL_ON | {"web-1": "off"} and cordoned(stage) == []
    before = len(stage.writes())

    stage.cluster(epoch=2).settle(NOW_S + 30.0)

    assert labels(stage) == SHIFTED and cordoned(stage) == ["n1", "n2"]
    # One pod and two nodes were left; nothing was written twice.
    assert len(stage.writes()) - before == 3


def test_a_successor_goes_on_with_a_return_that_was_interrupted(stage: Stage) -> None:
    first = stage.cluster(epoch=1)
    first.apply(SHIFT, decision(), NOW_S)
    stage.api.fail(503, match="PATCH /api/v1/namespaces/shop/pods/web-2", times=1)
    first.apply(RESTORE, decision(), NOW_S + 60.0)
    assert labels(stage)["web-2"] == "off"

    stage.cluster(epoch=2).apply(RESTORE, decision(), NOW_S + 75.0)

    assert labels(stage) == ALL_ON and cordoned(stage) == [] and stage.traces() == []


def test_nodes_that_somebody_else_cordoned_stay_theirs(stage: Stage) -> None:
    cordon(stage, "n2")
    cluster = stage.cluster()

    assert cluster.apply(SHIFT, decision(), NOW_S)
    assert "annotations" not in stage.get("nodes", "n2")["metadata"]

    cluster.apply(RESTORE, decision(), NOW_S + 60.0)
    assert cordoned(stage) == ["n2"]


def test_a_node_that_somebody_uncordoned_twice_is_left_alone(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(SHIFT, decision(), NOW_S)
    for later_s in (30.0, 60.0):
        cordon(stage, "n1", on=False)
        cluster.settle(NOW_S + later_s)

    assert cordoned(stage) == ["n2"]
    cluster.apply(RESTORE, decision(), NOW_S + 90.0)
    stage.revert_all(NOW_S + 91.0, periods_left=0)
    assert cordoned(stage) == [] and stage.traces() == []


def test_a_drain_and_a_shift_of_one_pod_end_one_after_the_other(stage: Stage) -> None:
    cluster = stage.cluster()
    drain = SetTraffic(WEB, "web-1", on=False, expires_at_s=NOW_S + 900.0)
    cluster.apply(drain, decision(), NOW_S)
    cluster.apply(SHIFT, decision(), NOW_S)

    cluster.apply(RESTORE, decision(), NOW_S + 60.0)
    assert labels(stage) == ALL_ON | {"web-1": "off"}

    cluster.apply(SetTraffic(WEB, "web-1", on=True), decision(), NOW_S + 90.0)
    assert labels(stage) == ALL_ON and stage.traces() == []


def test_a_drain_that_ends_within_a_shift_leaves_the_pod_out(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(SHIFT, decision(), NOW_S)
    drain = SetTraffic(WEB, "web-1", on=False, expires_at_s=NOW_S + 300.0)
    cluster.apply(drain, decision(), NOW_S)

    cluster.apply(SetTraffic(WEB, "web-1", on=True), decision(), NOW_S + 60.0)
    assert labels(stage)["web-1"] == "off"

    cluster.apply(RESTORE, decision(), NOW_S + 90.0)
    assert labels(stage) == ALL_ON and stage.traces() == []


def spread(**change: Any) -> dict[str, Any]:
    constraint = {"topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule", "maxSkew": 1}
    return {"metadata": {}, "spec": {"topologySpreadConstraints": [constraint | change]}}


def test_refused_where_cordoned_nodes_would_still_be_counted(stage: Stage) -> None:
    stage.sets("deployments", "web", lambda seen: seen["spec"].update(template=spread()))

    assert not stage.cluster().apply(SHIFT, decision(), NOW_S)
    assert stage.why is RefusalReason.SPREAD_COUNTS_CORDONED and stage.writes() == []


@pytest.mark.parametrize("change", [{"nodeTaintsPolicy": "Honor"}, {"whenUnsatisfiable": "ScheduleAnyway"}])
def test_other_spread_constraints_are_no_hindrance(stage: Stage, change: dict[str, str]) -> None:
    stage.sets("deployments", "web", lambda seen: seen["spec"].update(template=spread(**change)))

    assert stage.cluster().apply(SHIFT, decision(), NOW_S)


def test_refused_when_nobody_would_be_left(stage: Stage) -> None:
    for name in ("web-3", "web-4"):
        stage.api.delete("pods", "shop", name)

    assert not stage.cluster().apply(SHIFT, decision(), NOW_S)
    assert stage.why is RefusalReason.LAST_ENDPOINT and stage.writes() == []


def test_refused_for_a_zone_without_nodes(stage: Stage) -> None:
    assert not stage.cluster().apply(ShiftZone("z", (WEB,), NOW_S + 600.0), decision(), NOW_S)
    assert stage.why is RefusalReason.EMPTY_ZONE


def test_refused_without_the_right_to_cordon(stage: Stage) -> None:
    stage.settings["zone_shift"] = False

    assert not stage.cluster().apply(SHIFT, decision(), NOW_S)
    assert stage.why is RefusalReason.SWITCHED_OFF


def test_a_leader_that_was_superseded_shifts_nothing(stage: Stage) -> None:
    old = stage.cluster(epoch=1)
    old.settle(NOW_S)
    stage.cluster(epoch=2).settle(NOW_S + 20.0)

    assert not old.apply(SHIFT, decision(), NOW_S + 30.0)
    assert stage.why is RefusalReason.SUPERSEDED and stage.writes() == []


def test_a_workload_without_a_selector_empties_nobody_elses_zone(stage: Stage) -> None:
    stage.sets("deployments", "web", lambda seen: seen["spec"].pop("selector"))

    assert not stage.cluster().apply(SHIFT, decision(), NOW_S)
    assert stage.why is RefusalReason.NOT_THIS_WORKLOADS and stage.writes() == []
