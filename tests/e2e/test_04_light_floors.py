"""Floors over other people's autoscalers: raised ahead of a declared event, given back, never fought over."""

import json
import time

import pytest
from e2e_light import HIGHEST, RESTING, SOON_S, Light, sale
from e2e_operator import OperatorView
from e2e_programs import Kubectl
from e2e_stage import LIGHT
from e2e_waiting import stays, wait_until

#: A tick and a half: who was to be heard has been heard.
TICKS_S = 25.0


def test_a_declared_event_raises_the_floor_in_time_and_its_expiry_brings_the_original_back(
    light: Light, operator: OperatorView, kubectl: Kubectl
) -> None:
    with light.policy("sale"):
        light.wait_for_forecast("sale")
        begins_s = time.time() + SOON_S
        light.declare("sale", ["sale"], events=[sale()])
        raised = light.raised("sale")
        assert raised.managed
        assert (raised.mark["original"], raised.mark["written"]) == (RESTING, HIGHEST)
        assert raised.mark["expires_at"] > time.time()

        wait_until("its pods", lambda: light.ready_pods("sale"), until=lambda ready: ready == HIGHEST)
        assert time.time() < begins_s, "the pods came too late"
        told = wait_until("the decision in the status", lambda: light.status("sale").get("decisions"))
        assert "the declared event “sale” is coming" in told[0]["explanation"]
        assert told[0]["acts"], "the decision shows no act"
        notes = kubectl.items(LIGHT, "events.events.k8s.io")
        assert any(note["reason"] == "DemandDeclared" and note["regarding"]["name"] == "sale" for note in notes)

        light.withdraw("sale")
        expires_at_s = light.autoscaler("sale").mark["expires_at"]
        light.restored("sale")
        assert time.time() >= expires_at_s - 1.0, "the floor was taken back before it expired"


def test_two_policies_on_one_workload_tell_of_each_other_and_the_older_keeps_it(
    light: Light, operator: OperatorView
) -> None:
    with light.policy("shared", announced=True):
        light.wait_for_forecast("shared")
        raised = light.raised("shared")
        with light.policy("younger", "shared", scaling={"maxReplicas": 4}):
            for name in ("shared", "younger"):
                wait_until(
                    f"policy {name} to tell of the conflict",
                    lambda told=name: light.condition(told, "Conflict"),
                    until=lambda seen: seen == ("True", "TwoPoliciesOnOneWorkload"),
                )
            assert light.condition("shared", "Ready")[0] == "True"
            assert light.condition("younger", "Ready") == ("False", "TwoPoliciesOnOneWorkload")
            stays("the older one's floor", lambda: light.autoscaler("shared").floor, TICKS_S, lambda f: f == HIGHEST)
            assert light.autoscaler("shared").mark["original"] == raised.mark["original"]


def test_what_a_gitops_tool_writes_becomes_the_original_and_the_second_time_it_is_left_to_it(
    light: Light, operator: OperatorView, kubectl: Kubectl
) -> None:
    def applied(minimum: int) -> None:
        """As Argo CD applies what stands in its repository."""
        body = {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "argo", "namespace": LIGHT},
            "spec": {**kubectl.get(LIGHT, "hpa", "argo")["spec"], "minReplicas": minimum},
        }
        flags = ("--server-side", "--force-conflicts", "--field-manager=argocd-controller")
        kubectl("apply", *flags, "-f", "-", given=json.dumps(body))

    with light.policy("argo", announced=True, scaling={"maxReplicas": 3}):
        light.wait_for_forecast("argo")
        wait_until("the floor", lambda: light.autoscaler("argo"), 90.0, lambda seen: seen.floor == 3)
        applied(2)
        again = wait_until("the floor over it", lambda: light.autoscaler("argo"), 60.0, lambda seen: seen.floor == 3)
        assert again.mark["original"] == 2
        assert len(again.mark["reversed_at"]) == 1

        applied(2)
        wait_until(
            "the contest to be told",
            lambda: light.condition("argo", "Contested"),
            60.0,
            lambda seen: seen == ("True", "ChangedByOthers"),
        )
        stays("theirs", lambda: light.autoscaler("argo").floor, TICKS_S, lambda floor: floor == 2)
        last = wait_until("our mark to end", lambda: light.autoscaler("argo"), 120.0, lambda seen: seen.mark is None)
        assert last.floor == 2


@pytest.mark.slow
def test_a_tool_that_replaces_the_whole_object_is_left_alone_the_second_time_too(
    light: Light, operator: OperatorView, kubectl: Kubectl
) -> None:
    whole = kubectl.get(LIGHT, "hpa", "replaced")
    for ours in ("uid", "resourceVersion", "managedFields", "creationTimestamp"):
        whole["metadata"].pop(ours, None)
    body = json.dumps({**whole, "status": {}})

    with light.policy("replaced", announced=True):
        light.wait_for_forecast("replaced")
        light.raised("replaced")
        kubectl("replace", "-f", "-", given=body)
        assert light.autoscaler("replaced").untouched
        assert light.raised("replaced", 60.0).mark["original"] == RESTING

        kubectl("replace", "-f", "-", given=body)
        wait_until(
            "the contest to be told",
            lambda: light.condition("replaced", "Contested"),
            60.0,
            lambda seen: seen == ("True", "ChangedByOthers"),
        )
        stays("theirs", lambda: light.autoscaler("replaced").floor, TICKS_S, lambda floor: floor == RESTING)
