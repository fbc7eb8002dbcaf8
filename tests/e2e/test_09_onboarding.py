"""What `foresail onboard` says of a running cluster holds there: the order of its steps, its commands, the handover."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_programs import Kubectl
from e2e_shop import Shop
from e2e_stage import SHOP, Stage
from e2e_waiting import wait_until

from chaos.clusters.bare.pause_image import NAME as PAUSE_IMAGE

PLACE, NAME, LABEL = "onboarding", "web", "foresail.dev/traffic"
_FORESAIL = Path(sys.executable).with_name("foresail")


@pytest.fixture
def kubectl(stage: Stage) -> Iterator[Kubectl]:
    """A namespace with a workload that nobody has made ready."""
    kubectl = stage.kubectl
    kubectl.make_namespace(PLACE)
    kubectl.apply(*workload(least=2))
    try:
        kubectl("rollout", "status", "-n", PLACE, f"deployment/{NAME}", "--timeout=240s", limit_s=250.0)
        wait_until("both endpoints", lambda: len(endpoints(kubectl)), until=lambda found: found == 2)
        yield kubectl
    finally:
        kubectl("delete", "namespace", PLACE)


def test_the_printed_steps_lead_there_and_no_endpoint_is_missed(stage: Stage, kubectl: Kubectl) -> None:
    steps = onboard(stage, PLACE)["steps"]
    assert "none of 2 Ready pods carries the label" in steps[-1]["notYet"]

    for step in steps:
        run_printed(stage, step["command"])
        wait_until("both endpoints", lambda: len(endpoints(kubectl)), until=lambda found: found == 2)

    assert onboard(stage, PLACE)["steps"] == []


def test_the_wrong_order_empties_the_service_and_the_alarm_says_the_way_back(stage: Stage, kubectl: Kubectl) -> None:
    run_printed(stage, onboard(stage, PLACE)["steps"][-1]["command"])
    wait_until("the Service to be empty", lambda: not endpoints(kubectl))

    alarm = next(found for found in onboard(stage, PLACE)["findings"] if found["topic"] == "label")
    assert "2 of 2 Ready pods do not carry it" in alarm["said"]

    run_printed(stage, alarm["fix"].removeprefix("at once: ").partition("; then")[0])
    wait_until("both endpoints", lambda: len(endpoints(kubectl)), until=lambda found: found == 2)


def test_a_field_that_was_handed_over_survives_being_left_out(stage: Stage, kubectl: Kubectl) -> None:
    kubectl.apply(*workload(least=None))
    assert least(kubectl) == 1, "who applies lets go of the field, and the default stands"
    kubectl.apply(*workload(least=2))

    for command in onboard(stage, PLACE, "--gitops", "helm4", whole=True)["gitops"]["helm4"]["handover"]:
        run_printed(stage, command)
    kubectl.apply(*workload(least=None))

    assert least(kubectl) == 2


def test_nothing_is_missing_from_the_shop(stage: Stage, shop: Shop) -> None:
    found = onboard(stage, SHOP, whole=True)

    missing = {report["workload"]: report for report in found["workloads"] if report["missing"]}
    assert found["workloads"] and not missing and not found["problems"]


def onboard(stage: Stage, namespace: str, *words: str, whole: bool = False) -> Any:
    """As JSON: all of it, or of the namespace's one workload."""
    command = [_FORESAIL, "onboard", "--json", "-n", namespace, "--kubeconfig", stage.cluster.kubeconfig, *words]
    said = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout
    found = json.loads(said)
    return found if whole else found["workloads"][0]


def run_printed(stage: Stage, command: str) -> None:
    """A command as it was printed, by a shell, as people run it."""
    kubectl = stage.kubectl
    environment = {
        "KUBECONFIG": str(kubectl.kubeconfig),
        "PATH": f"{kubectl.program.parent}:/usr/bin:/bin",
        "HOME": str(kubectl.kubeconfig.parent),  # without one kubectl keeps its cache in the folder it is called from
    }
    subprocess.run(["sh", "-ec", command], env=environment, capture_output=True, check=True, timeout=120.0)


def endpoints(kubectl: Kubectl) -> list[Any]:
    """Of the Service, those that are Ready."""
    slices = kubectl.items(PLACE, "endpointslices", f"kubernetes.io/service-name={NAME}")
    return [one for found in slices for one in found["endpoints"] or () if one["conditions"].get("ready")]


def least(kubectl: Kubectl) -> int:
    return int(kubectl.get(PLACE, "hpa", NAME)["spec"]["minReplicas"])


def workload(least: int | None) -> list[dict[str, Any]]:
    """A Deployment, its Service and its HPA, which is applied without a floor where `least` is None."""
    labels = {"app": NAME}
    container = {"name": NAME, "image": PAUSE_IMAGE, "imagePullPolicy": "Never"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }
    bounds = {"maxReplicas": 5} | ({} if least is None else {"minReplicas": least})
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME}
    specs = {
        ("apps/v1", "Deployment"): {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
        ("v1", "Service"): {"selector": labels, "ports": [{"port": 80}]},
        ("autoscaling/v2", "HorizontalPodAutoscaler"): {"scaleTargetRef": target, **bounds},
    }
    meta = {"name": NAME, "namespace": PLACE}
    return [
        {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec} for (version, kind), spec in specs.items()
    ]
