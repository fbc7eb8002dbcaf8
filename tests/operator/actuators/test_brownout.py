"""The ceiling on optional content: recorded, told to every process and to those that begin later, and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from act_stage import NOW_S, WEB, Stage, decision, token_file
from fake_http import Asked, FakeHttp, serving

from foresail.actuators.refusals import RefusalReason
from foresail.actuators.targets import Endpoint
from policies.decision import SetBrownout

TTL_S = 60.0
PODS = 4
DIM = SetBrownout(WEB, 0.4, NOW_S + TTL_S)
LIFT = SetBrownout(WEB, 1.0, NOW_S + 90.0)


@dataclass(slots=True)
class Gateway:
    """All pods of the stage share one address, so their processes share this state."""

    http: FakeHttp
    ceiling: float = 1.0
    reason: str | None = None
    puts: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if asked.method == "PUT":
            self.puts.append(asked.body)
            self.ceiling, self.reason = asked.body["ceiling"], asked.body["reason"]
        if asked.method == "DELETE":
            self.ceiling, self.reason = 1.0, None
        return 200, {"ceiling": self.ceiling, "expires_in_s": 9.0, "inner": 1.0, "reason": self.reason}

    def writes(self) -> list[str]:
        return [line for line in self.http.lines if not line.startswith("GET")]


@pytest.fixture
def gateway(stage: Stage, tmp_path: Path) -> Iterator[Gateway]:
    with serving() as http:
        stage.knows(brownout=Endpoint("/-/brownout", http.port))
        stage.settings["control_token_file"] = token_file(tmp_path)
        made = Gateway(http)
        http.answer = made.answer
        yield made


def mark(stage: Stage) -> dict[str, Any] | None:
    return stage.mark("deployments", "web", "brownout")


def restart(stage: Stage, name: str, container: str) -> None:
    statuses = [{"name": "app", "containerID": container}]
    stage.sets("pods", name, lambda seen: seen["status"].update(containerStatuses=statuses))


# Telling


def test_tells_every_gateway_process(stage: Stage, gateway: Gateway) -> None:
    assert stage.cluster().apply(DIM, decision("d-5"), NOW_S)

    assert gateway.puts == [{"ceiling": 0.4, "ttl_s": 60.0, "reason": "foresail d-5"}] * PODS
    assert {asked.authorization for asked in gateway.http.asked} == {"Bearer secret"}


def test_records_it_on_the_workload_like_every_other_act(stage: Stage, gateway: Gateway) -> None:
    stage.cluster(epoch=3).apply(DIM, decision("d-5"), NOW_S)

    assert mark(stage) == {
        "original": 1.0,
        "written": 0.4,
        "epoch": 3,
        "expires_at": NOW_S + TTL_S,
        "decision": "d-5",
        "about": WEB,
    }
    assert stage.get("deployments", "web")["metadata"]["generation"] == 1  # no rollout


def test_lifts_the_ceiling(stage: Stage, gateway: Gateway) -> None:
    cluster = stage.cluster()
    cluster.apply(DIM, decision(), NOW_S)

    assert cluster.apply(LIFT, decision(), NOW_S + 30.0)

    assert gateway.ceiling == 1.0 and gateway.writes()[PODS:] == ["DELETE /-/brownout"] * PODS
    assert stage.traces() == []


def test_a_ceiling_lifted_is_not_set_again_in_a_process_that_begins(stage: Stage, gateway: Gateway) -> None:
    cluster = stage.cluster()
    cluster.apply(DIM, decision(), NOW_S)
    cluster.apply(LIFT, decision(), NOW_S + 30.0)
    restart(stage, "web-1", "new")

    cluster.settle(NOW_S + 31.0)

    assert len(gateway.puts) == PODS


def test_names_those_that_did_not_take_it(stage: Stage, gateway: Gateway) -> None:
    stage.sets("pods", "web-2", lambda seen: seen["status"].update(podIP="127.0.0.2"))

    assert stage.cluster().apply(DIM, decision(), NOW_S)

    (failed,) = stage.outcomes[-1].partial
    assert failed.reason is RefusalReason.UNREACHABLE and "127.0.0.2" in failed.detail


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param(401, RefusalReason.NO_CREDENTIALS, id="wrong-token"),
        pytest.param(403, RefusalReason.CONTROL_OFF, id="takes-none"),
        pytest.param(404, RefusalReason.CONTROL_OFF, id="no-gateway"),
        pytest.param(422, RefusalReason.INVALID, id="not-understood"),
        pytest.param(500, RefusalReason.SERVER_ERROR, id="broken"),
    ],
)
def test_refused_when_nobody_took_it(stage: Stage, gateway: Gateway, status: int, reason: RefusalReason) -> None:
    gateway.http.answer = lambda asked: (status, {"code": "some"})

    assert not stage.cluster().apply(DIM, decision(), NOW_S)
    assert stage.why is reason


def test_gateways_that_hang_cost_one_time_limit_and_no_more(stage: Stage, gateway: Gateway) -> None:
    gateway.http.hang = True
    stage.settings["pod_timeout_s"] = 0.1

    assert not stage.cluster().apply(DIM, decision(), NOW_S)
    assert stage.why is RefusalReason.NO_POD_ANSWERED


@pytest.mark.parametrize("ceiling", [float("nan"), -0.1, 1.5, float("inf")])
def test_a_ceiling_that_means_nothing_is_refused(stage: Stage, gateway: Gateway, ceiling: float) -> None:
    assert not stage.cluster().apply(SetBrownout(WEB, ceiling, NOW_S + TTL_S), decision(), NOW_S)
    assert stage.why is RefusalReason.INVALID and gateway.http.asked == [] and stage.writes() == []


def test_only_where_a_policy_names_the_endpoint(stage: Stage) -> None:
    assert not stage.cluster().apply(DIM, decision(), NOW_S)
    assert stage.why is RefusalReason.SWITCHED_OFF and stage.writes() == []


def test_nothing_is_recorded_without_a_token(stage: Stage, gateway: Gateway) -> None:
    stage.settings["control_token_file"] = None

    assert not stage.cluster().apply(DIM, decision(), NOW_S)
    assert stage.why is RefusalReason.NO_CREDENTIALS and stage.writes() == []


def test_nothing_is_dimmed_that_could_not_be_recorded(stage: Stage, gateway: Gateway) -> None:
    stage.api.forbid("patch", "deployments")

    assert not stage.cluster().apply(DIM, decision(), NOW_S)
    assert stage.why is RefusalReason.FORBIDDEN and gateway.http.asked == []


def test_nothing_is_dimmed_without_a_lease(stage: Stage, gateway: Gateway) -> None:
    cluster = stage.cluster()
    stage.fence.leads = False

    assert not cluster.apply(DIM, decision(), NOW_S)
    assert stage.why is RefusalReason.NOT_LEADING and gateway.http.asked == []


# Keeping up


def test_asked_twice_it_is_told_once(stage: Stage, gateway: Gateway) -> None:
    cluster = stage.cluster()
    cluster.apply(DIM, decision(), NOW_S)
    patches = len(stage.writes())

    assert cluster.apply(DIM, decision(), NOW_S + 1.0)

    assert len(gateway.puts) == PODS and len(stage.writes()) == patches


def test_a_renewal_moves_the_end_of_mark_and_processes_together(stage: Stage, gateway: Gateway) -> None:
    cluster = stage.cluster()
    cluster.apply(DIM, decision("d-1"), NOW_S)

    cluster.apply(SetBrownout(WEB, 0.4, NOW_S + 45.0 + TTL_S), decision("d-2"), NOW_S + 45.0)

    found = mark(stage)
    assert found is not None and found["expires_at"] == NOW_S + 105.0 and found["original"] == 1.0
    assert gateway.puts[PODS:] == [{"ceiling": 0.4, "ttl_s": 60.0, "reason": "foresail d-2"}] * PODS


def test_another_depth_is_told_at_once(stage: Stage, gateway: Gateway) -> None:
    cluster = stage.cluster()
    cluster.apply(DIM, decision(), NOW_S)

    cluster.apply(SetBrownout(WEB, 0.2, NOW_S + 1.0 + TTL_S), decision(), NOW_S + 1.0)

    assert gateway.ceiling == 0.2 and len(gateway.puts) == 2 * PODS


def test_a_process_that_was_restarted_is_told_what_is_left(stage: Stage, gateway: Gateway) -> None:
    for number in range(1, PODS + 1):
        restart(stage, f"web-{number}", f"first-{number}")
    cluster = stage.cluster()
    cluster.apply(DIM, decision("d-5"), NOW_S)
    restart(stage, "web-3", "second-3")

    cluster.settle(NOW_S + 15.0)
    cluster.settle(NOW_S + 20.0)

    assert gateway.puts[PODS:] == [{"ceiling": 0.4, "ttl_s": 45.0, "reason": "foresail d-5"}]


def test_a_pod_that_came_later_is_told_too(stage: Stage, gateway: Gateway) -> None:
    stage.sets("pods", "web-4", lambda seen: seen["status"].update(phase="Pending"))
    cluster = stage.cluster()
    cluster.apply(DIM, decision(), NOW_S)
    stage.sets("pods", "web-4", lambda seen: seen["status"].update(phase="Running"))

    cluster.settle(NOW_S + 15.0)

    assert len(gateway.puts) == PODS


def test_a_process_that_could_not_be_told_is_told_later(stage: Stage, gateway: Gateway) -> None:
    stage.sets("pods", "web-2", lambda seen: seen["status"].update(podIP="127.0.0.2"))
    cluster = stage.cluster()
    cluster.apply(DIM, decision(), NOW_S)
    assert [refused.reason for refused in cluster.settle(NOW_S + 15.0).refused] == [RefusalReason.UNREACHABLE]
    stage.sets("pods", "web-2", lambda seen: seen["status"].update(podIP="127.0.0.1"))

    assert cluster.settle(NOW_S + 30.0).refused == ()
    assert len(gateway.puts) == PODS


def test_a_successor_goes_on_with_it(stage: Stage, gateway: Gateway) -> None:
    stage.cluster(epoch=1).apply(DIM, decision("d-5"), NOW_S)
    successor = stage.cluster(epoch=2)

    successor.settle(NOW_S + 20.0)
    assert gateway.puts[PODS:] == [{"ceiling": 0.4, "ttl_s": 40.0, "reason": "foresail d-5"}] * PODS

    successor.settle(NOW_S + TTL_S)
    assert stage.traces() == []


def test_settling_costs_no_request_once_it_is_over(stage: Stage, gateway: Gateway) -> None:
    cluster = stage.cluster()
    cluster.apply(DIM, decision(), NOW_S)
    cluster.settle(NOW_S + TTL_S)
    before = len(stage.api.requests), len(gateway.http.asked)

    cluster.settle(NOW_S + TTL_S + 15.0)

    assert (len(stage.api.requests), len(gateway.http.asked)) == before


def test_a_mark_that_went_with_the_whole_object_is_written_again(stage: Stage, gateway: Gateway) -> None:
    """A tool that replaces the Deployment does not argue about the ceiling: it knows nothing of it."""
    cluster = stage.cluster()
    for turn in range(3):
        now_s = NOW_S + 20.0 * turn
        assert cluster.apply(SetBrownout(WEB, 0.4, now_s + TTL_S), decision(), now_s)
        stage.sets("deployments", "web", lambda seen: seen["metadata"].update(annotations={}, labels={}))

    assert cluster.apply(SetBrownout(WEB, 0.4, NOW_S + 120.0), decision(), NOW_S + 60.0)
    assert mark(stage) is not None


# Other people's ceilings


def test_a_ceiling_that_somebody_else_set_is_left_alone(stage: Stage, gateway: Gateway) -> None:
    gateway.ceiling, gateway.reason = 0.1, "we are on it"

    assert not stage.cluster().apply(DIM, decision(), NOW_S)
    assert stage.why is RefusalReason.NOT_OURS and gateway.ceiling == 0.1


def test_a_ceiling_that_somebody_else_set_meanwhile_is_not_lifted(stage: Stage, gateway: Gateway) -> None:
    cluster = stage.cluster()
    cluster.apply(DIM, decision(), NOW_S)
    gateway.ceiling, gateway.reason = 0.1, "we are on it"

    assert not cluster.apply(LIFT, decision(), NOW_S + 30.0)
    assert stage.why is RefusalReason.NOT_OURS and gateway.ceiling == 0.1 and stage.traces() == []


# Taking back


def test_after_its_end_only_the_mark_is_left_to_take(stage: Stage, gateway: Gateway) -> None:
    stage.cluster().apply(DIM, decision(), NOW_S)
    before = len(gateway.http.asked)

    done = stage.revert_expired(NOW_S + TTL_S)

    assert [(step.act, step.how) for step in done.undone] == [("brownout", "restored")]
    assert stage.traces() == [] and len(gateway.http.asked) == before


def test_before_its_end_it_is_left_by_the_job_that_undoes_what_has_expired(stage: Stage, gateway: Gateway) -> None:
    stage.cluster().apply(DIM, decision(), NOW_S)

    assert stage.revert_expired(NOW_S + TTL_S - 1.0).undone == ()
    assert gateway.ceiling == 0.4 and mark(stage) is not None


def test_an_uninstall_lifts_it(stage: Stage, gateway: Gateway) -> None:
    stage.cluster().apply(DIM, decision(), NOW_S)

    done = stage.revert_all(NOW_S + 10.0)

    assert [(step.act, step.how) for step in done.undone] == [("brownout", "restored")]
    assert gateway.ceiling == 1.0 and stage.traces() == []


def test_an_uninstall_does_not_wait_for_a_gateway_that_is_gone(stage: Stage, gateway: Gateway) -> None:
    """Its ceiling runs out by itself; refusing would keep the uninstall waiting for nothing."""
    stage.cluster().apply(DIM, decision(), NOW_S)
    for number in range(1, PODS + 1):
        stage.sets("pods", f"web-{number}", lambda seen: seen["status"].update(podIP="127.0.0.2"))

    done = stage.revert_all(NOW_S + 10.0)

    assert [(step.act, step.how) for step in done.undone] == [("brownout", "forgotten")]
    assert done.refused == () and stage.traces() == []
