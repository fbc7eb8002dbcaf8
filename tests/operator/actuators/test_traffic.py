"""The traffic label of one pod, with the HTTP drain that goes along, and what keeps it from being flipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from act_stage import NOW_S, WEB, Stage, decision, pod, row, token_file
from fake_http import serving

from foresail.actuators.refusals import RefusalReason
from foresail.actuators.targets import Endpoint
from policies.decision import SetTraffic

COST = "controller.kubernetes.io/pod-deletion-cost"
OFF = SetTraffic(WEB, "web-1", on=False, expires_at_s=NOW_S + 600.0)
ON = SetTraffic(WEB, "web-1", on=True)


def label(stage: Stage, name: str = "web-1") -> str | None:
    found: str | None = stage.get("pods", name)["metadata"]["labels"].get("foresail.dev/traffic")
    return found


def annotations(stage: Stage) -> dict[str, str]:
    found: dict[str, str] = stage.get("pods", "web-1")["metadata"].get("annotations") or {}
    return found


def test_takes_a_pod_out_and_puts_it_back(stage: Stage) -> None:
    cluster = stage.cluster()

    assert cluster.apply(OFF, decision(), NOW_S)
    assert label(stage) == "off" and annotations(stage)[COST] == "-1000"

    assert cluster.apply(ON, decision(), NOW_S + 60.0)
    assert label(stage) == "on" and annotations(stage) == {} and stage.traces() == []


def test_twice_is_once(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(OFF, decision(), NOW_S)

    assert cluster.apply(OFF, decision(), NOW_S + 10.0)
    assert len(stage.writes()) == 1


def test_comes_back_by_itself(stage: Stage) -> None:
    cluster = stage.cluster()
    cluster.apply(OFF, decision(), NOW_S)

    cluster.settle(NOW_S + 599.0)
    assert label(stage) == "off"
    cluster.settle(NOW_S + 600.0)
    assert label(stage) == "on" and stage.traces() == []


def test_a_cost_that_somebody_had_set_returns(stage: Stage) -> None:
    stage.sets("pods", "web-1", lambda seen: seen["metadata"].update(annotations={COST: "7"}))
    cluster = stage.cluster()

    cluster.apply(OFF, decision(), NOW_S)
    assert annotations(stage)[COST] == "-1000"
    cluster.apply(ON, decision(), NOW_S)
    assert annotations(stage) == {COST: "7"}


def test_what_somebody_else_switched_off_is_not_ours_to_switch_on(stage: Stage) -> None:
    stage.sets("pods", "web-1", lambda seen: seen["metadata"]["labels"].update({"foresail.dev/traffic": "off"}))

    assert not stage.cluster().apply(ON, decision(), NOW_S)
    assert stage.why is RefusalReason.NOT_OURS and label(stage) == "off"


def test_nothing_happens_where_no_service_looks_at_the_label(stage: Stage) -> None:
    stage.sets("services", "web", lambda service: service["spec"].update(selector={"app": "web"}))

    assert not stage.cluster().apply(OFF, decision(), NOW_S)
    assert stage.why is RefusalReason.NO_SERVICE_LISTENS and label(stage) == "on"


def test_never_the_last_endpoint(stage: Stage) -> None:
    for name in ("web-2", "web-3", "web-4"):
        stage.sets("pods", name, lambda seen: seen["status"].update(conditions=[]))

    assert not stage.cluster().apply(OFF, decision(), NOW_S)
    assert stage.why is RefusalReason.LAST_ENDPOINT


def test_never_on_a_governing_service(stage: Stage) -> None:
    spec = {"replicas": 2, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}}
    stage.api.put(row("apps/v1", "StatefulSet", "db", spec=spec))
    headless = {"clusterIP": "None", "selector": {"app": "db", "foresail.dev/traffic": "on"}}
    stage.api.put(row("v1", "Service", "db", spec=headless))
    for name in ("db-0", "db-1"):
        member = pod(name, "n1", app="db")
        member["metadata"]["ownerReferences"] = [{"kind": "StatefulSet", "name": "db", "controller": True}]
        stage.api.put(member)

    off = SetTraffic("shop/db", "db-0", on=False, expires_at_s=NOW_S + 600.0)
    assert not stage.cluster().apply(off, decision(), NOW_S)
    assert stage.why is RefusalReason.GOVERNING_SERVICE


def test_a_pod_that_leaves_anyway_is_let_go(stage: Stage) -> None:
    stage.sets("pods", "web-1", lambda seen: seen["metadata"].update(deletionTimestamp="2026-01-01T00:00:00Z"))

    assert not stage.cluster().apply(OFF, decision(), NOW_S)
    assert stage.why is RefusalReason.POD_LEAVING


def test_a_pod_of_another_workload_is_refused(stage: Stage) -> None:
    stage.api.put(pod("other", "n1", app="other"))

    off = SetTraffic(WEB, "other", on=False, expires_at_s=NOW_S + 600.0)
    assert not stage.cluster().apply(off, decision(), NOW_S)
    assert stage.why is RefusalReason.NOT_THIS_WORKLOADS


def test_a_pod_that_is_gone_is_named(stage: Stage) -> None:
    stage.api.delete("pods", "shop", "web-1")

    assert not stage.cluster().apply(OFF, decision(), NOW_S)
    assert stage.why is RefusalReason.NOT_FOUND


def test_off_without_an_end_is_refused(stage: Stage) -> None:
    assert not stage.cluster().apply(SetTraffic(WEB, "web-1", on=False), decision(), NOW_S)
    assert stage.why is RefusalReason.INVALID


def test_drains_over_http_after_the_label_is_off(stage: Stage, tmp_path: Path) -> None:
    with serving() as process:
        labels: list[Any] = []

        def answer(asked: object) -> tuple[int, Any]:
            labels.append(label(stage))
            return 200, {"draining": True}

        process.answer = answer
        stage.knows(drain=Endpoint("/-/drain", process.port))
        stage.settings["control_token_file"] = token_file(tmp_path)
        cluster = stage.cluster()
        assert cluster.apply(OFF, decision("d-3"), NOW_S)
        assert cluster.apply(ON, decision(), NOW_S + 30.0)

    put, ended = process.asked
    assert put.line == "PUT /-/drain" and put.body == {"ttl_s": 600.0, "reason": "foresail d-3"}
    assert put.authorization == "Bearer secret"
    assert ended.line == "DELETE /-/drain" and labels == ["off", "on"]


def test_a_pod_that_answers_nobody_is_not_told(stage: Stage, tmp_path: Path) -> None:
    """Its node is dead: each of its pods would cost the time limit of a request before the next label is written."""
    with serving() as process:
        stage.knows(drain=Endpoint("/-/drain", process.port))
        stage.settings["control_token_file"] = token_file(tmp_path)
        assert stage.cluster().apply(OFF, decision("f-1", fast=True), NOW_S)

    assert process.asked == [] and label(stage) == "off"


def test_a_stuck_process_does_not_keep_its_pod_in_rotation(stage: Stage, tmp_path: Path) -> None:
    with serving() as process:
        process.hang = True
        stage.knows(drain=Endpoint("/-/drain", process.port))
        stage.settings |= {"control_token_file": token_file(tmp_path), "pod_timeout_s": 0.2}
        assert stage.cluster().apply(OFF, decision(), NOW_S)

    assert label(stage) == "off"
    assert [refused.reason for refused in stage.outcomes[-1].partial] == [RefusalReason.NO_POD_ANSWERED]


def test_a_missing_token_is_said_and_does_not_matter(stage: Stage) -> None:
    stage.knows(drain=Endpoint("/-/drain", 1))

    assert stage.cluster().apply(OFF, decision(), NOW_S)
    assert [refused.reason for refused in stage.outcomes[-1].partial] == [RefusalReason.NO_CREDENTIALS]


def flip_back(stage: Stage) -> None:
    stage.sets("pods", "web-1", lambda seen: seen["metadata"]["labels"].update({"foresail.dev/traffic": "on"}))


def test_a_label_that_somebody_flips_back_twice_is_left_with_everything_that_went_along(stage: Stage) -> None:
    stage.sets("pods", "web-1", lambda seen: seen["metadata"].update(annotations={COST: "7"}))
    cluster = stage.cluster()
    cluster.apply(OFF, decision(), NOW_S)
    flip_back(stage)
    assert cluster.apply(OFF, decision(), NOW_S + 30.0)
    assert annotations(stage)[COST] == "-1000"
    flip_back(stage)

    assert not cluster.apply(OFF, decision(), NOW_S + 60.0)

    assert stage.why is RefusalReason.CONTESTED and label(stage) == "on"
    assert annotations(stage)[COST] == "7"


def test_a_workload_without_a_selector_owns_no_pods(stage: Stage) -> None:
    stage.sets("deployments", "web", lambda seen: seen["spec"].pop("selector"))

    assert not stage.cluster().apply(OFF, decision(), NOW_S)
    assert stage.why is RefusalReason.NOT_THIS_WORKLOADS


# Who belongs to the workload


def select(stage: Stage, *expressions: dict[str, Any]) -> None:
    selector = {"matchLabels": {"app": "web"}, "matchExpressions": list(expressions)}
    stage.sets("deployments", "web", lambda seen: seen["spec"].update(selector=selector))


NOT_CANARY = {"key": "track", "operator": "NotIn", "values": ["canary"]}


def test_a_pod_that_an_expression_leaves_out_is_not_touched(stage: Stage) -> None:
    stage.sets("pods", "web-1", lambda seen: seen["metadata"]["labels"].update(track="canary"))
    select(stage, NOT_CANARY)

    assert not stage.cluster().apply(OFF, decision(), NOW_S)
    assert stage.why is RefusalReason.NOT_THIS_WORKLOADS and label(stage) == "on"


def test_a_pod_that_an_expression_takes_in_is_drained(stage: Stage) -> None:
    select(stage, NOT_CANARY, {"key": "app", "operator": "In", "values": ["web", "shop"]})

    assert stage.cluster().apply(OFF, decision(), NOW_S)
    assert label(stage) == "off"


def test_a_selector_that_cannot_be_understood_is_nobodys(stage: Stage) -> None:
    select(stage, {"key": "track", "operator": "Resembles", "values": ["web"]})

    assert not stage.cluster().apply(OFF, decision(), NOW_S)
    assert stage.why is RefusalReason.NOT_THIS_WORKLOADS and stage.writes() == []
