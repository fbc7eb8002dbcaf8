"""Patroni's switchover: named leader, named synchronous candidate, asked once, believed only when seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from act_stage import NOW_S, Stage, decision, pod, row
from fake_http import Asked, FakeHttp, serving

from foresail.actuators.refusals import RefusalReason
from foresail.actuators.targets import WorkloadTarget
from policies.decision import SwitchOver

SWITCH = SwitchOver("orders", "shop/db", "db-0", "db-1")


class Patroni:
    """Two members behind one address, since both pods have the same IP here."""

    def __init__(self, http: FakeHttp) -> None:
        self.http = http
        self.leader, self.roles = "db-0", {"db-0": "leader", "db-1": "sync_standby"}
        self.obeys, self.status, self.extra = True, 200, dict[str, Any]()
        http.answer = self.answer

    def answer(self, asked: Asked) -> tuple[int, Any]:
        if asked.line == "GET /cluster":
            members = [{"name": name, "role": role, "state": "streaming"} for name, role in self.roles.items()]
            return 200, {"members": members} | self.extra
        if self.obeys:
            self.roles = {"db-0": "replica", asked.body["candidate"]: "leader"}
        return self.status, "said"

    @property
    def switchovers(self) -> list[Asked]:
        return [asked for asked in self.http.asked if asked.method == "POST"]


@pytest.fixture
def patroni(stage: Stage) -> Iterator[Patroni]:
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "db"}}}
    stage.api.put(row("apps/v1", "StatefulSet", "db", spec=spec))
    for name in ("db-0", "db-1"):
        stage.api.put(pod(name, "n1", app="db"))
    with serving() as http:
        stage.extras["shop/db"] = WorkloadTarget("shop/db", ("apps/v1", "statefulsets"), {}, patroni_port=http.port)
        yield Patroni(http)


def test_names_leader_and_candidate(stage: Stage, patroni: Patroni, tmp_path: Path) -> None:
    secret = tmp_path / "patroni"
    secret.write_text("admin:pass\n", encoding="utf-8")
    stage.settings["patroni_credentials_file"] = secret

    assert stage.cluster().apply(SWITCH, decision(), NOW_S)

    (asked,) = patroni.switchovers
    assert asked.path == "/switchover" and asked.body == {"leader": "db-0", "candidate": "db-1"}
    assert asked.authorization == "Basic YWRtaW46cGFzcw=="  # base64 of admin:pass


def test_members_that_other_workloads_run_are_found_by_their_labels(stage: Stage, patroni: Patroni) -> None:
    stage.api.put(pod("db-x-0", "n2", app="x", **{"cluster-name": "orders"}))
    patroni.roles = {"db-x-0": "leader", "db-1": "sync_standby"}
    found = stage.extras["shop/db"]
    stage.extras["shop/db"] = replace(found, patroni_members={"cluster-name": "orders"})

    assert stage.cluster().apply(SwitchOver("orders", "shop/db", "db-x-0", "db-1"), decision(), NOW_S)

    (asked,) = patroni.switchovers
    assert asked.body == {"leader": "db-x-0", "candidate": "db-1"}


def test_where_no_pod_bears_the_labels_the_workload_s_pods_are_asked(stage: Stage, patroni: Patroni) -> None:
    found = stage.extras["shop/db"]
    stage.extras["shop/db"] = replace(found, patroni_members={"cluster-name": "orders"})

    assert stage.cluster().apply(SWITCH, decision(), NOW_S) and len(patroni.switchovers) == 1


def test_what_has_happened_already_is_not_asked_for(stage: Stage, patroni: Patroni) -> None:
    patroni.roles = {"db-0": "replica", "db-1": "leader"}

    assert stage.cluster().apply(SWITCH, decision(), NOW_S)
    assert patroni.switchovers == []


def test_never_to_a_member_that_is_not_synchronous(stage: Stage, patroni: Patroni) -> None:
    patroni.roles = {"db-0": "leader", "db-1": "replica"}

    assert not stage.cluster().apply(SWITCH, decision(), NOW_S)
    assert stage.why is RefusalReason.CANDIDATE_NOT_SYNC and patroni.switchovers == []


def test_a_quorum_standby_is_synchronous(stage: Stage, patroni: Patroni) -> None:
    patroni.roles = {"db-0": "leader", "db-1": "quorum_standby"}

    assert stage.cluster().apply(SWITCH, decision(), NOW_S)


@pytest.mark.parametrize(
    ("roles", "extra", "reason"),
    [
        pytest.param({"db-2": "leader", "db-1": "sync_standby"}, {}, RefusalReason.LEADER_CHANGED, id="other-leader"),
        pytest.param({"db-0": "replica", "db-1": "sync_standby"}, {}, RefusalReason.LEADER_CHANGED, id="no-leader"),
        pytest.param(None, {"pause": True}, RefusalReason.DATABASE_PAUSED, id="maintenance"),
        pytest.param(
            None, {"scheduled_switchover": {"at": "soon"}}, RefusalReason.SWITCHOVER_REJECTED, id="scheduled-by-others"
        ),
    ],
)
def test_refuses_what_does_not_fit(
    stage: Stage, patroni: Patroni, roles: dict[str, str] | None, extra: dict[str, Any], reason: RefusalReason
) -> None:
    patroni.roles, patroni.extra = roles or patroni.roles, extra

    assert not stage.cluster().apply(SWITCH, decision(), NOW_S)
    assert stage.why is reason and patroni.switchovers == []


def test_believes_the_cluster_more_than_the_answer(stage: Stage, patroni: Patroni) -> None:
    patroni.status = 503  # "status unknown", although it happened

    assert stage.cluster().apply(SWITCH, decision(), NOW_S)
    assert "[]" in stage.get("configmaps", "foresail-intents", "foresail")["data"]["intents"]


def test_a_rejection_is_one(stage: Stage, patroni: Patroni) -> None:
    patroni.obeys, patroni.status = False, 412

    assert not stage.cluster().apply(SWITCH, decision(), NOW_S)
    assert stage.why is RefusalReason.SWITCHOVER_REJECTED


def test_is_asked_for_once_even_by_a_successor(stage: Stage, patroni: Patroni) -> None:
    patroni.obeys = False  # accepted, and takes its time

    assert stage.cluster(epoch=1).apply(SWITCH, decision(), NOW_S)
    successor = stage.cluster(epoch=2)
    assert successor.apply(SWITCH, decision(), NOW_S + 30.0)
    assert len(patroni.switchovers) == 1

    assert successor.apply(SWITCH, decision(), NOW_S + 90.0)
    assert len(patroni.switchovers) == 2


def test_a_member_that_hangs_is_not_waited_for_for_long(stage: Stage, patroni: Patroni) -> None:
    patroni.http.hang = True
    stage.settings["pod_timeout_s"] = 0.1

    assert not stage.cluster().apply(SWITCH, decision(), NOW_S)
    assert stage.why is RefusalReason.DATABASE_SILENT and patroni.switchovers == []


@pytest.mark.parametrize("body", [[], {"members": "many"}, {}, "text", None])
def test_nonsense_from_a_member_is_silence(stage: Stage, patroni: Patroni, body: object) -> None:
    patroni.http.answer = lambda asked: (200, body)

    assert not stage.cluster().apply(SWITCH, decision(), NOW_S)
    assert stage.why is RefusalReason.DATABASE_SILENT


def test_wrong_credentials_are_named(stage: Stage, patroni: Patroni, tmp_path: Path) -> None:
    patroni.obeys, patroni.status = False, 401

    assert not stage.cluster().apply(SWITCH, decision(), NOW_S)
    assert stage.why is RefusalReason.NO_CREDENTIALS


def test_a_file_without_credentials_is_named_before_anything_is_asked(
    stage: Stage, patroni: Patroni, tmp_path: Path
) -> None:
    stage.settings["patroni_credentials_file"] = tmp_path / "missing"

    assert not stage.cluster().apply(SWITCH, decision(), NOW_S)
    assert stage.why is RefusalReason.NO_CREDENTIALS and patroni.switchovers == []


def test_a_request_that_could_not_be_sent_is_not_under_way(stage: Stage, patroni: Patroni) -> None:
    patroni.obeys = False
    cluster = stage.cluster()
    stage.sets("pods", "db-0", lambda seen: seen["status"].update(podIP="127.0.0.3"))  # nobody listens there

    assert not cluster.apply(SWITCH, decision(), NOW_S)
    assert stage.why is RefusalReason.UNREACHABLE

    stage.sets("pods", "db-0", lambda seen: seen["status"].update(podIP="127.0.0.1"))
    patroni.obeys = True
    assert cluster.apply(SWITCH, decision(), NOW_S + 15.0)
    assert len(patroni.switchovers) == 1
