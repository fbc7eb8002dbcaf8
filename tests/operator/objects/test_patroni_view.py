"""A Patroni cluster as its members tell it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest
from api_objects import Object, node, pod, stateful_set

from foresail.objects import parsing
from foresail.objects.databases import DatabaseSettings, DatabaseWatch
from foresail.objects.object_state import ObjectState, Records, joined
from foresail.objects.patroni_view import DatabaseTarget, MemberAnswers, MemberPlace, Positions, database_seen
from policies.model import DatabaseSeen

TARGET = DatabaseTarget("orders", "shop/db")
PLACES = {"db-0": MemberPlace("n1", "a"), "db-1": MemberPlace("n2", "b")}


def cluster(leader_state: str = "running", role: str = "sync_standby", leader: str = "leader", **more: Any) -> Object:
    return {
        "members": [
            {"name": "db-0", "role": leader, "state": leader_state},
            {"name": "db-1", "role": role, "state": "streaming", "lag": 0},
        ],
        **more,
    }


def leading(location: int = 1000, **more: Any) -> Object:
    return {"state": "running", "role": "primary", "xlog": {"location": location}, **more}


def following(replayed: int = 1000, **more: Any) -> Object:
    return {"state": "running", "role": "replica", "xlog": {"replayed_location": replayed}, **more}


def seen(
    described: Object | None = None,
    own: tuple[Object | None, Object | None] = (leading(), following()),
    positions: Positions | None = None,
    now_s: float = 100.0,
) -> DatabaseSeen:
    described = cluster() if described is None else described
    answers = [MemberAnswers("db-0", own[0], described), MemberAnswers("db-1", own[1], described)]
    found, _ = database_seen(TARGET, answers, PLACES, positions or Positions(), now_s)
    assert found is not None
    return found


def test_a_healthy_cluster() -> None:
    found = seen()

    assert found.primary is not None
    assert (found.primary.name, found.primary.node, found.primary.zone) == ("db-0", "n1", "a")
    assert found.primary.healthy is True and found.primary.lag_s is None
    [standby] = found.standbys
    assert (standby.name, standby.zone, standby.synchronous, standby.lag_s) == ("db-1", "b", True, 0.0)
    assert not found.switching
    assert found.long_transaction is None  # nobody tells


@pytest.mark.parametrize(
    ("role", "synchronous"), [("sync_standby", True), ("quorum_standby", True), ("replica", False)]
)
def test_who_is_synchronous(role: str, synchronous: bool) -> None:
    assert seen(cluster(role=role)).standbys[0].synchronous is synchronous


def test_a_silent_member_is_not_taken_for_well() -> None:
    found = seen(own=(leading(), None))

    assert found.standbys[0].healthy is None and found.standbys[0].lag_s is None


def test_a_silent_member_that_was_broken_is_broken() -> None:
    found = seen(cluster(leader_state="crashed"), own=(None, following()))

    assert found.primary is not None and found.primary.healthy is False


@pytest.mark.parametrize(
    "described",
    [
        pytest.param(cluster(scheduled_switchover={"at": "2026-01-01T00:00:00Z"}), id="planned"),
        pytest.param(cluster(leader="replica"), id="nobody leads"),
        pytest.param(cluster(leader_state="stopping"), id="the leader stops"),
        pytest.param(cluster(pause=True), id="people have paused it"),
    ],
)
def test_leadership_that_is_moving(described: Object) -> None:
    assert seen(described).switching


def test_a_leader_knows_first_that_it_steps_down() -> None:
    assert seen(own=({"state": "stopping", "role": "primary"}, following())).switching


def test_the_member_that_heard_last_is_believed() -> None:
    stale, fresh = cluster(), cluster(leader="replica")
    answers = [
        MemberAnswers("db-0", leading(dcs_last_seen=100), stale),
        MemberAnswers("db-1", following(dcs_last_seen=120), fresh),
    ]

    found, _ = database_seen(TARGET, answers, PLACES, Positions(), 0.0)

    assert found is not None and found.primary is None


def test_nothing_is_known_while_nobody_describes_the_cluster() -> None:
    answers = [MemberAnswers("db-0", leading(), None), MemberAnswers("db-1", None, {"members": "?"})]

    assert database_seen(TARGET, answers, PLACES, Positions(), 0.0) == (None, Positions())


def test_lag_is_how_old_the_standby_s_picture_is() -> None:
    positions = Positions("db-0", ((90.0, 1000), (96.0, 1600)))

    # At 100 s the leader stands at 2000. The standby is at 1300, where the leader was half way from 90 to 96 s.
    found = seen(own=(leading(2000), following(1300)), positions=positions)

    assert found.standbys[0].lag_s == pytest.approx(7.0)


def test_lag_is_unknown_where_the_leader_was_not_watched_for_long_enough() -> None:
    assert seen(own=(leading(2000), following(500))).standbys[0].lag_s is None


def test_a_new_leader_s_log_is_another_log() -> None:
    positions = Positions("db-1", ((90.0, 100),)).with_point("db-0", 500, 95.0)

    assert positions == Positions("db-0", ((95.0, 500),))


@dataclass
class Member:
    """A member's REST API on loopback; it says what it is given."""

    own: Object | None = field(default_factory=leading)
    cluster: Object = field(default_factory=cluster)
    server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        assert self.server is not None
        return int(self.server.server_address[1])


@pytest.fixture
def member() -> Iterator[Member]:
    told = Member()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = told.cluster if self.path == "/cluster" else told.own
            self.send_response(503 if body is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    told.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=told.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield told
    told.server.shutdown()
    told.server.server_close()
    thread.join()


def objects(*described: Object) -> ObjectState:
    """A StatefulSet's pod, or those that are described."""
    rows = described or (pod("db-0", "db", "StatefulSet"),)
    pods = {record.meta.key: record for each in rows if (record := parsing.pod(each)) is not None}
    db, n1 = parsing.stateful_set(stateful_set()), parsing.node(node())
    assert db is not None and n1 is not None
    return joined(Records(pods=pods, nodes={"n1": n1}, stateful_sets={"shop/db": db}))


def watch(*targets: DatabaseTarget, state: ObjectState | None = None) -> DatabaseWatch:
    return DatabaseWatch(lambda: targets, lambda: state, DatabaseSettings(timeout_s=5.0), clock=lambda: 100.0)


def test_asks_the_pods_of_the_workload(member: Member) -> None:
    made = watch(DatabaseTarget("orders", "shop/db", member.port), state=objects())

    [found] = made.look()
    made.stop()

    assert found.primary is not None
    assert (found.primary.name, found.primary.zone, found.primary.healthy) == ("db-0", "a", True)
    assert found.standbys[0].healthy is None  # it has no pod that we could ask
    assert made.seen(110.0) == (found,)
    assert made.seen(116.0) == ()  # older than 15 s


def test_members_are_told_by_their_labels_whatever_runs_them(member: Member) -> None:
    """The pod is nobody's that we know, and another one beside it belongs to another cluster."""
    ours, other = (pod(name, None, labels={"scope": scope}) for name, scope in (("db-0", "orders"), ("db-1", "other")))
    target = DatabaseTarget("orders", "shop/db", member.port, members={"scope": "orders"})
    made = watch(target, state=objects(ours, other))

    [found] = made.look()
    made.stop()

    assert found.primary is not None
    assert (found.primary.name, found.primary.zone, found.primary.healthy) == ("db-0", "a", True)
    assert found.standbys[0].healthy is None and found.standbys[0].zone is None


def test_where_no_pod_bears_the_labels_the_members_are_the_workload_s_pods(member: Member) -> None:
    target = DatabaseTarget("orders", "shop/db", member.port, members={"scope": "orders"})
    made = watch(target, state=objects())

    [found] = made.look()
    made.stop()

    assert found.primary is not None and found.primary.healthy is True


def test_finds_the_members_from_one_address(member: Member) -> None:
    url = f"http://127.0.0.1:{member.port}"
    member.cluster["members"][0]["api_url"] = f"{url}/patroni"
    made = watch(DatabaseTarget("orders", "shop/db", url=url))

    [found] = made.look()
    made.stop()

    assert found.primary is not None and found.primary.healthy is True


def test_a_database_that_nobody_answers_for_is_left_out(member: Member) -> None:
    member.cluster = {}
    made = watch(DatabaseTarget("orders", "shop/db", member.port), DatabaseTarget("other", "shop/no"), state=objects())

    assert made.look() == ()
    made.stop()


def test_goes_on_asking(member: Member) -> None:
    rounds = 0
    second = Event()

    def targets() -> list[DatabaseTarget]:
        nonlocal rounds
        rounds += 1
        if rounds == 2:  # so the first one is over
            second.set()
        return [DatabaseTarget("orders", "shop/db", member.port)]

    made = DatabaseWatch(targets, objects, DatabaseSettings(period_s=0.001), clock=lambda: 100.0)
    made.start()

    assert second.wait(20.0)
    assert [found.name for found in made.seen(100.0)] == ["orders"]
    made.stop()
