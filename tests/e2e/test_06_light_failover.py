"""Leaders that end: killed right after they acted, stopped as by a rollout, or all of them gone for good."""

import time

import pytest
from e2e_light import HIGHEST, RESTING, TTL_S, Light, sale
from e2e_operator import OperatorView
from e2e_programs import Kubectl
from e2e_stage import LIGHT, OPERATOR
from e2e_waiting import wait_until

from chaos.clusters.bare.pod_processes import kill_containers

#: Of a Lease, the other's next look at it, and its first tick, on a machine that has much else to do.
TAKEOVER_S = 60.0


@pytest.mark.slow
def test_a_leader_killed_in_the_middle_of_an_act_is_followed_by_one_that_does_not_act_twice(
    light: Light, operator: OperatorView, kubectl: Kubectl
) -> None:
    both_ready(operator)
    with light.policy("inherited"):
        light.wait_for_forecast("inherited")
        leader = operator.leader()
        uid = kubectl.get(OPERATOR, "pod", leader)["metadata"]["uid"]
        light.declare("inherited", ["inherited"], events=[sale()])
        # It has written the floor, and nothing yet of what comes after: Events, the status, the rest of its tick.
        first = wait_until(
            "the first act", lambda: light.autoscaler("inherited"), 90.0, lambda seen: seen.mark is not None, 0.0
        )
        assert kill_containers(uid), "no process of the leader's was found"
        kubectl("delete", "pod", "-n", OPERATOR, leader, "--grace-period=0", "--force", "--wait=false")

        successor = wait_until("another leader", operator.leader, TAKEOVER_S, lambda name: name != leader)
        after = wait_until(
            "the floor to be renewed by it",
            lambda: light.autoscaler("inherited"),
            TTL_S + TAKEOVER_S,
            lambda seen: seen.mark is not None and seen.mark["epoch"] > first.mark["epoch"],
        )
        assert successor != leader
        assert (after.floor, after.mark["original"]) == (HIGHEST, RESTING)
        assert "reversed_at" not in after.mark, "the predecessor's value was taken for somebody else's"
        sizes = kubectl.items(LIGHT, "events.events.k8s.io", "")
        resized = [note for note in sizes if note["regarding"]["name"] == "inherited" and "New size" in note["note"]]
        assert len(resized) == 1, f"the workload was scaled {len(resized)} times"
    both_ready(operator)


def test_a_leader_that_is_stopped_hands_over_at_once(light: Light, operator: OperatorView, kubectl: Kubectl) -> None:
    both_ready(operator)
    leader = operator.leader()
    lease = kubectl.get(OPERATOR, "lease", "foresail")["spec"]

    kubectl("delete", "pod", "-n", OPERATOR, leader, "--wait=false")
    began_s = time.monotonic()
    wait_until("another leader", operator.leader, TAKEOVER_S, lambda name: name != leader, 0.2)

    assert time.monotonic() - began_s < lease["leaseDurationSeconds"], "the successor had to wait for the Lease to end"
    assert kubectl.get(OPERATOR, "lease", "foresail")["spec"]["leaseTransitions"] == lease["leaseTransitions"] + 1
    both_ready(operator)


@pytest.mark.slow
def test_what_an_operator_leaves_behind_that_is_gone_is_taken_back_by_the_job(
    light: Light, operator: OperatorView, kubectl: Kubectl
) -> None:
    with light.policy("abandoned", announced=True):
        light.wait_for_forecast("abandoned")
        raised = light.raised("abandoned")
        replicas = kubectl.get(OPERATOR, "deployment", "foresail")["spec"]["replicas"]
        kubectl("scale", "-n", OPERATOR, "deployment/foresail", "--replicas=0")
        try:
            wait_until("the operator to be gone", operator.pods, until=lambda pods: not pods)
            # The job runs every minute, and its pod takes a while to start.
            light.restored("abandoned", TTL_S + 60.0 + 120.0)
            assert time.time() >= raised.mark["expires_at"]
            assert not operator.pods()
        finally:
            kubectl("scale", "-n", OPERATOR, "deployment/foresail", f"--replicas={replicas}")
            both_ready(operator)


def both_ready(operator: OperatorView) -> None:
    kubectl = operator.stage.kubectl
    kubectl("rollout", "status", "-n", OPERATOR, "deployment/foresail", "--timeout=240s", limit_s=250.0)
    wait_until("no operator's pod on its way out", lambda: len(operator.pods()), until=lambda pods: pods == 2)
    operator.wait_for_lead()
