"""Probes, peers and gateways, each second, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from api_objects import container, deployment, node, pod, replica_set

from foresail.objects import parsing
from foresail.objects.fast_plan import (
    FastPlan,
    GatewayPod,
    GatewayTarget,
    Peer,
    Probed,
    gateway_pods,
    operator_peers,
    own_zone,
    probed_pods,
)
from foresail.objects.fast_watch import FastLook, FastSettings, FastWatch
from foresail.objects.object_state import ObjectState, Records, joined
from foresail.objects.probing import ProbeSettings, probe_all
from foresail.objects.records import ProbeTarget
from foresail.objects.vantages import VantageReport, probes_seen, published, received, silent_nodes

PATIENT = ProbeSettings(timeout_s=10.0)
HASTY = ProbeSettings(timeout_s=0.05, late_s=10.0)  # however late we are, it counts
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[int]:
    """A server on loopback; yields its port. At the end it waits until every connection is closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):  # whoever asked is gone
            await answer(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    others = asyncio.all_tasks()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield int(server.sockets[0].getsockname()[1])
    # A server that is closed while it accepts leaves that connection open.
    while serving := asyncio.all_tasks() - others:
        await asyncio.wait(serving)
    server.close()


def saying(text: str, status: int = 200, asked: list[str] | None = None) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(head.decode())
        body = text.encode()
        lines = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(lines.encode() + body)
        await writer.drain()

    return answer


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until the other side goes


async def rude(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example\r\n")


def answered(answer: Answer, path: str | None, settings: ProbeSettings = PATIENT) -> bool | None:
    async def ask() -> bool | None:
        async with listening(answer) as port:
            return await ask_one(ProbeTarget(port, path), settings)

    return asyncio.run(ask())


async def ask_one(target: ProbeTarget, settings: ProbeSettings = PATIENT, ip: str = "127.0.0.1") -> bool | None:
    """The verdict on one pod."""
    [answer] = (await asyncio.to_thread(probe_all, [Probed("shop/web", "a", "n1", "a", ip, target)], settings)).values()
    return answer


@pytest.mark.parametrize(("status", "ok"), [(200, True), (204, True), (302, True), (404, False), (503, False)])
def test_a_pod_answers_as_the_kubelet_would_have_it(status: int, ok: bool) -> None:
    assert answered(saying("", status), "/ready") is ok


def test_a_connection_is_enough_where_no_path_is_given() -> None:
    assert answered(silent, None) is True


def test_a_pod_that_hangs_fails() -> None:
    assert answered(silent, "/ready", HASTY) is False


def test_what_speaks_no_http_fails() -> None:
    assert answered(rude, "/ready") is False


def test_a_port_that_nobody_listens_on_fails() -> None:
    async def ask() -> bool | None:
        async with listening(silent) as port:
            pass
        return await ask_one(ProbeTarget(port))

    assert asyncio.run(ask()) is False


def test_our_own_lateness_proves_nothing() -> None:
    assert answered(silent, "/ready", ProbeSettings(timeout_s=0.01, late_s=-1.0)) is None


def test_the_path_is_asked_as_it_is_and_nothing_is_smuggled_into_it() -> None:
    asked: list[str] = []

    answered(saying("", asked=asked), "/-/ready?deep=1 \r\nX: y")

    assert asked[0].startswith("GET /-/ready?deep=1%20%0D%0AX:%20y HTTP/1.1\r\nHost: 127.0.0.1:")


def test_an_answer_in_pieces_is_put_together() -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in (b"HT", b"TP/1.1 2", b"00 OK\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    assert answered(slowly, "/ready") is True


def test_a_pod_that_hangs_up_fails() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    assert answered(hang_up, "/ready") is False


def certified(folder: Path) -> ssl.SSLContext:
    """A server that nobody vouches for."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    described = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj", "/CN=x")
    made = [program, "req", "-x509", *described, "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def test_a_pod_that_speaks_tls_is_believed_without_its_papers(tmp_path: Path) -> None:
    context = certified(tmp_path)

    def serve(listener: socket.socket) -> None:
        with context.wrap_socket(listener.accept()[0], server_side=True) as secured:
            secured.recv(1024)
            secured.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        each = probed("a", listener.getsockname()[1], tls=True)
        answers = probe_all([each], PATIENT)
        thread.join()

    assert answers == {"shop/web/a": True}


def test_a_pod_that_should_speak_tls_and_does_not_fails() -> None:
    async def ask() -> bool | None:
        async with listening(rude) as port:
            return await ask_one(ProbeTarget(port, "/ready", tls=True))

    assert asyncio.run(ask()) is False


def test_what_is_no_address_is_not_the_pod_s_fault() -> None:
    assert asyncio.run(ask_one(ProbeTarget(80), ip="nowhere at all")) is None


def probed(name: str, port: int, tls: bool = False) -> Probed:
    return Probed("shop/web", name, "n1", "a", "127.0.0.1", ProbeTarget(port, "/ready", tls))


def test_many_pods_are_asked_a_few_at_a_time() -> None:
    async def ask() -> object:
        async with listening(saying("")) as port:
            pods = [probed(str(n), port) for n in range(20)]
            return await asyncio.to_thread(probe_all, pods, ProbeSettings(10.0, at_once=3))

    assert asyncio.run(ask()) == {f"shop/web/{n}": True for n in range(20)}


def test_pods_whose_turn_never_came_are_unknown() -> None:
    async def ask() -> object:
        async with listening(silent) as port:
            pods = [probed(str(n), port) for n in range(8)]
            return await asyncio.to_thread(probe_all, pods, ProbeSettings(0.05, at_once=1, late_s=10.0))

    answers = asyncio.run(ask())

    assert isinstance(answers, dict)
    assert answers["shop/web/0"] is False and answers["shop/web/7"] is None


def test_places_in_one_zone_are_one_vantage_point() -> None:
    pods = [probed("a", 1), probed("b", 1), probed("c", 1)]
    reports = [
        VantageReport("x", {"shop/web/a": False, "shop/web/b": False}),
        VantageReport("x", {"shop/web/a": True, "shop/web/b": None}),
        VantageReport("y", silent=True),
    ]

    seen = probes_seen(pods, reports)

    assert [probe.ok_by_vantage for probe in seen] == [
        {"x": True, "y": None},
        {"x": False, "y": None},
        {"x": None, "y": None},
    ]


def test_a_report_survives_the_way() -> None:
    report = VantageReport("b", {"shop/web/a": True, "shop/web/b": False, "shop/web/c": None})

    assert received(json.loads(json.dumps(published(report, 0.25))), "elsewhere") == report


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="no object"),
        pytest.param({"zone": "b", "age_s": 2.6, "answers": {}}, id="old"),
        pytest.param({"zone": "b", "age_s": "0", "answers": {}}, id="an age in words"),
        pytest.param({"zone": "b", "age_s": 0.1, "answers": []}, id="no answers"),
        pytest.param({"zone": "b", "age_s": -5.0, "answers": {}}, id="from the future"),
    ],
)
def test_a_report_that_says_nothing_is_silence(value: object) -> None:
    assert received(value, "b") == VantageReport("b", silent=True)


async def _with(answers: Iterable[Answer], act: Callable[[list[int]], Awaitable[FastLook]]) -> FastLook:
    ports: list[int] = []
    managers = [listening(answer) for answer in answers]
    for manager in managers:
        ports.append(await manager.__aenter__())
    try:
        return await act(ports)
    finally:
        for manager in managers:
            await manager.__aexit__(None, None, None)


def test_one_round_sees_pods_from_here_and_from_there() -> None:
    peer = json.dumps({"zone": "b", "age_s": 0.1, "answers": {"shop/web/up": True, "shop/web/down": False}})
    watch: FastWatch | None = None

    async def act(ports: list[int]) -> FastLook:
        nonlocal watch
        up, down, other, gone = ports
        plan = FastPlan(
            zone="a",
            probed=(probed("up", up), probed("down", down)),
            peers=(Peer(f"http://127.0.0.1:{other}/probes", "?"), Peer(f"http://127.0.0.1:{gone}/probes", "c")),
        )
        watch = FastWatch(lambda: plan, FastSettings(timeout_s=10.0, probe=PATIENT), clock=lambda: 5.0)
        async with watch.session() as session:
            return await watch.look_once(session)

    seen = asyncio.run(_with([saying(""), saying("", 503), saying(peer), saying("", 500)], act))

    assert {probe.pod: probe.ok_by_vantage for probe in seen.probes} == {
        "up": {"a": True, "b": True, "c": None},
        "down": {"a": False, "b": False, "c": None},
    }
    assert watch is not None
    assert watch.published(5.5) == {
        "zone": "a",
        "age_s": 0.5,
        "answers": {"shop/web/up": True, "shop/web/down": False},
    }
    assert watch.look(8.0) == seen and watch.look(8.1) == FastLook(8.1)  # too old to mean anything


def told_in_turn(*reports: dict[str, bool | None]) -> Answer:
    """A peer whose report is another one each time it is asked; after the last it fails."""
    left = list(reports)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        status, answers = (200, left.pop(0)) if left else (500, {})
        await saying(json.dumps({"zone": "b", "age_s": 0.1, "answers": answers}), status)(reader, writer)

    return answer


def seen_with_peer(peer: Answer, pod_status: int) -> dict[str, bool | None]:
    """What both vantage points say of one pod after one round."""

    async def act(ports: list[int]) -> FastLook:
        peers = (Peer(f"http://127.0.0.1:{ports[1]}/probes", "b"),)
        plan = FastPlan(zone="a", probed=(probed("a", ports[0]),), peers=peers)
        settings = FastSettings(timeout_s=10.0, second_ask_s=0.0, probe=PATIENT)
        watch = FastWatch(lambda: plan, settings, clock=lambda: 5.0)
        async with watch.session() as session:
            return await watch.look_once(session)

    [seen] = asyncio.run(_with([saying("", pod_status), peer], act)).probes
    return dict(seen.ok_by_vantage)


def test_where_a_probe_fails_peers_are_asked_for_the_same_round() -> None:
    peer = told_in_turn({"shop/web/a": True}, {"shop/web/a": False})

    assert seen_with_peer(peer, pod_status=503) == {"a": False, "b": False}


def test_while_all_is_well_peers_are_asked_once() -> None:
    peer = told_in_turn({"shop/web/a": True}, {"shop/web/a": False})

    assert seen_with_peer(peer, pod_status=200) == {"a": True, "b": True}


def test_a_peer_that_falls_silent_has_still_said_what_it_said() -> None:
    peer = told_in_turn({"shop/web/a": False})

    assert seen_with_peer(peer, pod_status=503) == {"a": False, "b": False}


def test_rounds_make_the_gateway_s_rate() -> None:
    asked = 0

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        page = f'http_server_request_duration_seconds_count{{status="200"}} {asked * 30}\n'
        asked += 1
        await saying(page)(reader, writer)

    async def act(ports: list[int]) -> FastLook:
        plan = FastPlan("a", gateways=(GatewayPod("shop/gateway", "g-1", f"http://127.0.0.1:{ports[0]}/metrics"),))
        now_s = 0.0
        watch = FastWatch(lambda: plan, FastSettings(timeout_s=10.0), clock=lambda: now_s)
        async with watch.session() as session:
            for _ in range(3):
                now_s += 1.0
                seen = await watch.look_once(session)
        return seen

    seen = asyncio.run(_with([counting], act))

    assert (seen.gateway_rate_rps, seen.gateway_failed_ratio) == (30.0, 0.0)
    assert seen.gateway_recent_rps == {"shop/gateway": (30.0, 30.0)}


def test_a_gateway_without_an_answer_is_unknown() -> None:
    async def act(ports: list[int]) -> FastLook:
        plan = FastPlan("a", gateways=(GatewayPod("shop/gateway", "g-1", f"http://127.0.0.1:{ports[0]}/metrics"),))
        watch = FastWatch(lambda: plan, FastSettings(timeout_s=10.0))
        async with watch.session() as session:
            return await watch.look_once(session)

    seen = asyncio.run(_with([saying("", 404)], act))

    assert seen.gateway_rate_rps is None and seen.gateway_recent_rps == {}


def test_it_runs_and_stops_in_a_thread_of_its_own() -> None:
    rounds = 0
    second = threading.Event()

    def plan() -> FastPlan:
        nonlocal rounds
        rounds += 1
        if rounds == 2:  # so the first one is over
            second.set()
        return FastPlan("a")

    looked = threading.Event()
    watch = FastWatch(plan, FastSettings(period_s=0.001), clock=lambda: 1.0, on_look=looked.set)
    assert watch.published(1.0) is None

    watch.start()
    assert second.wait(20.0)
    assert looked.is_set() and watch.published(1.0) == {"zone": "a", "age_s": 0.0, "answers": {}}
    watch.stop()

    assert not watch.is_running()


def cluster() -> ObjectState:
    web = deployment(containers=[container() | {"readinessProbe": {"httpGet": {"path": "/ready", "port": 9090}}}])
    off = pod("off", ready_at=None, labels={"app": "web", "foresail.dev/traffic": "off"})
    leaving = pod("leaving", deletionTimestamp="2026-01-01T00:00:00Z")
    ours = [pod(f"op-{n}", None, node=f"n{n}", labels={"app": "foresail"}) for n in (1, 2)]
    pods = [pod("up"), off, leaving, pod("starting", ready_at=None), *ours]
    made, kept = parsing.deployment(web), parsing.replica_set(replica_set())
    assert made is not None and kept is not None
    return joined(
        Records(
            pods={record.meta.key: record for each in pods if (record := parsing.pod(each)) is not None},
            nodes={record.meta.key: record for each in (node("n1"), node("n2", "b")) if (record := parsing.node(each))},
            deployments={"shop/web": made},
            replica_sets={"shop/web-1": kept},
        )
    )


def test_endpoints_are_probed_and_those_that_our_label_took_out() -> None:
    target = ProbeTarget(9090, "/ready")

    assert sorted(probed_pods(cluster(), ["shop/web", "shop/none"]), key=lambda each: each.pod) == [
        Probed("shop/web", "off", "n1", "a", "127.0.0.1", target),
        Probed("shop/web", "up", "n1", "a", "127.0.0.1", target),
    ]


def test_ready_gateway_pods_are_read() -> None:
    found = gateway_pods(cluster(), [GatewayTarget("shop/web", 9091)])

    assert {each.pod for each in found} == {"up", "leaving"}
    assert {each.url for each in found} == {"http://127.0.0.1:9091/metrics"}


def test_peers_are_our_other_replicas() -> None:
    peers = operator_peers(cluster(), "shop", {"app": "foresail"}, own_pod="op-1", port=8080)

    assert peers == (Peer("http://127.0.0.1:8080/probes", "b", "n2"),)


def test_a_node_is_silent_where_none_of_our_replicas_reports() -> None:
    peers = [Peer("", "a", "n1"), Peer("", "a", "n2"), Peer("", "a", "n2"), Peer("", "b", None)]
    reports = [VantageReport("a", silent=True), VantageReport("a", silent=True), VantageReport("a"), VantageReport("b")]

    assert silent_nodes(peers, reports) == {"n1"}


def test_we_look_from_our_node_s_zone() -> None:
    assert own_zone(cluster(), "n2") == "b"
    assert own_zone(cluster(), "n9") == "n9"
    assert own_zone(cluster(), None) == "unknown"
