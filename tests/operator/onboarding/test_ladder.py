from __future__ import annotations

from typing import Any

import pytest
from onboarding_manifests import deployment, hpa, in_order, onboarded, policy, service

from policies.model import Rung

WEB = {"name": "web", "workload": {"name": "web"}}


def rungs(*objects: Any, under: Any = None) -> dict[Rung, tuple[bool, str]]:
    report = onboarded(*objects, under=under).workloads[0]
    return {answer.rung: (answer.possible, answer.why) for answer in report.rungs}


def claim(mode: str) -> dict[str, Any]:
    spec = {"accessModes": [mode]}
    meta = {"name": "data", "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": spec}


def with_volume() -> dict[str, Any]:
    made = deployment()
    made["spec"]["template"]["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    return made


def with_spread() -> dict[str, Any]:
    made = deployment()
    spread = {"topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
    made["spec"]["template"]["spec"]["topologySpreadConstraints"] = [spread]
    return made


def test_a_workload_in_order_can_climb_up_to_replacement():
    able = [rung for rung, (possible, _) in rungs(*in_order()).items() if possible]

    assert able == [Rung.OBSERVE, Rung.PRE_SCALE, Rung.DRAIN, Rung.REPLACE]


@pytest.mark.parametrize(
    ("objects", "rung", "said"),
    [
        pytest.param(
            [deployment(label=None), service(label=False)], Rung.DRAIN, "selects by the traffic label yet", id="label"
        ),
        pytest.param([deployment(replicas=1), service()], Rung.DRAIN, "no Ready endpoint left", id="last-endpoint"),
        pytest.param(
            [deployment(strategy={"type": "Recreate"}), service()], Rung.REPLACE, "strategy Recreate", id="recreate"
        ),
        pytest.param(
            [with_volume(), claim("ReadWriteOnce"), service()], Rung.REPLACE, "mounted on one node only", id="volume"
        ),
        pytest.param([with_volume(), service()], Rung.REPLACE, "data is not among the manifests", id="unknown-volume"),
        pytest.param([deployment(), service(), hpa(least=5)], Rung.PRE_SCALE, "there is no room", id="no-room"),
        pytest.param(
            [deployment(), service(), hpa(behavior={"scaleUp": {"selectPolicy": "Disabled"}})],
            Rung.PRE_SCALE,
            "selectPolicy is Disabled",
            id="scale-up-disabled",
        ),
        pytest.param([deployment(replicas=0), service()], Rung.PRE_SCALE, "switched off", id="scaled-to-zero"),
    ],
)
def test_what_stands_in_the_way_is_named_in_the_acts_own_words(objects, rung, said):
    possible, why = rungs(*objects)[rung]

    assert not possible
    assert said in why


@pytest.mark.parametrize(
    ("spec", "rung", "said"),
    [
        pytest.param(
            {"healing": {"highestRung": "Drain"}}, Rung.REPLACE, "highestRung of the policy is Drain", id="rung"
        ),
        pytest.param({"healing": {"replaceAllowed": False}}, Rung.REPLACE, "replaceAllowed", id="not-allowed"),
        pytest.param({}, Rung.SHIFT_ZONE, "zones.shiftEnabled of the policy is false", id="zone"),
        pytest.param({}, Rung.REWEIGHT, "names no brownout of it", id="brownout"),
        pytest.param({}, Rung.SWITCH_OVER, "as no database", id="database"),
    ],
)
def test_what_the_policy_does_not_allow_is_named(spec, rung, said):
    possible, why = rungs(*in_order(), under=policy(**spec))[rung]

    assert not possible
    assert said in why


def test_strict_spread_that_counts_cordoned_nodes_forbids_a_zone_shift():
    possible, why = rungs(with_spread(), service(), under=policy(zones={"shiftEnabled": True}))[Rung.SHIFT_ZONE]

    assert not possible
    assert "nodeTaintsPolicy: Honor" in why


@pytest.mark.parametrize(
    ("spec", "rung", "said"),
    [
        pytest.param({"zones": {"shiftEnabled": True}}, Rung.SHIFT_ZONE, "zoneShift.enabled", id="zone"),
        pytest.param({"brownout": {"target": "web", "port": 9090}}, Rung.REWEIGHT, "port 9090", id="brownout"),
    ],
)
def test_what_the_policy_allows_is_possible(spec, rung, said):
    possible, why = rungs(*in_order(), under=policy(**spec))[rung]

    assert possible
    assert said in why


def test_a_store_is_only_ever_switched_over():
    database = {"target": "web", "scope": "shop"}
    answers = rungs(*in_order(), under=policy(WEB | {"role": "Store"}, databases=[database]))

    assert [rung for rung, (possible, _) in answers.items() if possible] == [Rung.OBSERVE, Rung.SWITCH_OVER]


def test_without_an_hpa_replicas_are_written():
    assert rungs(deployment(), service())[Rung.PRE_SCALE] == (True, "/scale, 1 to 100 pods")
