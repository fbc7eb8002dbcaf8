"""What stops Foresail, and what does not: a paused policy, the kill switch, an API server that goes away."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from e2e_light import HIGHEST, TTL_S, Light, sale
from e2e_operator import OperatorView
from e2e_programs import Kubectl
from e2e_stage import LIGHT, OPERATOR
from e2e_waiting import stays, wait_until

SWITCH = "foresail-kill-switch"
#: A tick, the writing of a status, and a machine that has much else to do.
TICK_S = 40.0


def test_a_paused_policy_and_the_kill_switch_stop_all_but_the_undoing(
    light: Light, operator: OperatorView, kubectl: Kubectl
) -> None:
    with (
        light.policy("paused", announced=True),
        light.policy("stopped", announced=True),
    ):
        light.wait_for_forecast("stopped")
        light.raised("paused")
        light.raised("stopped")

        kubectl("annotate", "-n", LIGHT, "resiliencepolicy", "paused", "foresail.dev/paused=true")
        wait_for_condition(light, "paused", ("True", "Annotation"))
        stood = light.autoscaler("paused").mark["expires_at"]
        # The other one goes on: what stands is renewed at half its time.
        renewed_after(light, "stopped", light.autoscaler("stopped").mark["expires_at"])
        with kill_switch(kubectl):
            wait_for_condition(light, "stopped", ("True", "KillSwitch"))
            assert operator.metric("foresail_kill_switch") == 1.0
            standing = light.autoscaler("stopped").mark["expires_at"]
            assert light.restored("paused") and light.restored("stopped")
            assert standing >= stood
            # The sale has begun and nobody came, so a new one is announced.
            light.declare("stopped", ["stopped"], events=[sale(in_s=TICK_S)])
            stays("the floor under the kill switch", lambda: light.autoscaler("stopped").untouched, TICK_S)

        light.raised("stopped", TICK_S)
        wait_for_condition(light, "stopped", ("False", "NotPaused"))
        assert light.autoscaler("paused").untouched, "a paused policy acted"


def test_a_restarted_api_server_changes_nothing_and_the_operator_goes_on(light: Light, operator: OperatorView) -> None:
    with light.policy("restarted", announced=True):
        light.wait_for_forecast("restarted")
        raised = light.raised("restarted")
        before = restarts(operator)
        decided = raised.mark["decision"]

        operator.stage.cluster.restart_api_server()

        renewed = renewed_after(light, "restarted", raised.mark["expires_at"])
        assert (renewed.floor, renewed.mark["original"]) == (HIGHEST, raised.mark["original"])
        assert "reversed_at" not in renewed.mark, "its own value was taken for somebody else's"
        assert renewed.mark["decision"] != decided
        operator.wait_for_lead()
        assert restarts(operator) == before


def wait_for_condition(light: Light, policy: str, wanted: tuple[str, str]) -> None:
    what = f"policy {policy} to be told {wanted}"
    wait_until(what, lambda: light.condition(policy, "Paused"), TICK_S, lambda seen: seen == wanted)


def renewed_after(light: Light, workload: str, expires_at_s: float) -> Any:
    return wait_until(
        f"the floor of {workload} to be renewed",
        lambda: light.autoscaler(workload),
        TTL_S + TICK_S,
        lambda seen: seen.mark is not None and seen.mark["expires_at"] > expires_at_s,
    )


@contextmanager
def kill_switch(kubectl: Kubectl) -> Iterator[None]:
    kubectl("create", "configmap", "-n", OPERATOR, SWITCH, "--from-literal=stop=true")
    try:
        yield
    finally:
        kubectl("delete", "configmap", "-n", OPERATOR, SWITCH)


def restarts(operator: OperatorView) -> dict[str, int]:
    return {
        pod["metadata"]["name"]: sum(one["restartCount"] for one in pod["status"].get("containerStatuses", ()))
        for pod in operator.pods()
    }
