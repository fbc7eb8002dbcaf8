"""Adapters against stand-ins of what they talk to: an HTTP server, kubectl's words, a provider, a load."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chaos.clusters.cluster import ClusterFailed
from chaos.experiments.injecting.verbs import LivePod, ShopFault
from chaos.experiments.live.api_reader import api_reader
from chaos.experiments.live.fault_endpoint import Door, HttpShopFaults
from chaos.experiments.live.kube import KubePods, KubeWorkloads, unready
from chaos.experiments.live.load_thread import ThreadedLoad
from chaos.experiments.live.machines import ProviderMachines
from chaos.experiments.live.prometheus_rows import PrometheusRows
from chaos.experiments.live_plan import live_plan
from chaos.experiments.measured.rows import POD_WINDOW_S, WorkloadRow
from chaos.experiments.problems import RunFailed, VerbFailed
from chaos.experiments.run_folder import RunFolder
from chaos.load.run import Progress

POD = LivePod("shop-catalog-1", "catalog", "node-1", "10.0.0.1", ready=True)
LEAK = ShopFault("memory_leak", 20.0, 5.0, 60.0, 3)


@pytest.fixture
def served():
    """A server whose answer the test gives: from method, path with query, body and authorisation to status and JSON."""
    servers = []

    def serve(answer: Callable[[str, str, dict, str], tuple[int, object]]) -> int:
        class Handler(BaseHTTPRequestHandler):
            def handle_any(self):
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                status, told = answer(self.command, self.path, body, self.headers.get("Authorization", ""))
                text = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((server, thread))
        return server.server_port

    yield serve
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def at(port):
    return lambda: f"http://127.0.0.1:{port}"


# -- the shop's fault endpoint -----------------------------------------------------------------


def endpoint(port):
    return HttpShopFaults(lambda: "secret", lambda _: POD.address, lambda address: Door("127.0.0.1", port))


def unreachable(*_):
    raise ClusterFailed("the cluster is gone")


def test_a_cluster_that_opens_no_way_is_a_verb_that_failed():
    with pytest.raises(VerbFailed, match="the cluster is gone"):
        HttpShopFaults(lambda: "secret", lambda _: POD.address, unreachable).begin(POD, LEAK)


def test_a_fault_is_asked_for_with_the_token_and_ended_again(served):
    asked = []

    def answer(method, path, body, authorisation):
        asked.append((method, path, body, authorisation))
        return 200, {"active": method == "PUT"}

    faults = endpoint(served(answer))
    faults.begin(POD, LEAK)
    assert faults.is_active(POD, "memory_leak") is False
    faults.end(POD.name, "memory_leak")

    body = {"magnitude": 20.0, "ramp_s": 5.0, "duration_s": 60.0, "seed": 3}
    assert asked[0] == ("PUT", "/-/faults/memory_leak", body, "Bearer secret")
    assert [method for method, *_ in asked] == ["PUT", "GET", "DELETE"]


def test_a_refusal_is_told_with_the_shops_own_words(served):
    port = served(lambda *_: (403, {"code": "faults-off", "detail": "no token"}))

    with pytest.raises(VerbFailed, match="PUT memory_leak of shop-catalog-1: 403 no token"):
        endpoint(port).begin(POD, LEAK)


def test_a_pod_that_is_gone_has_no_faults_and_can_get_none():
    faults, gone = HttpShopFaults(lambda: "secret", lambda _: None, unreachable), replace(POD, address=None)

    faults.end(POD.name, "memory_leak")
    assert faults.is_active(gone, "memory_leak") is None
    with pytest.raises(VerbFailed, match="has no address"):
        faults.begin(gone, LEAK)


def test_a_process_that_does_not_answer_is_neither_ill_nor_well(served):
    port = served(lambda *_: (200, {}))
    faults = endpoint(port + 1 if port < 65_000 else port - 1)

    assert faults.is_active(POD, "memory_leak") is None


# -- the API server ----------------------------------------------------------------------------


def pod(name, service="gateway", ready=True, phase="Running", deleting=False, restarts=0, **labels):
    metadata = {"name": name, "labels": {"app.kubernetes.io/component": service, **labels}}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": "node-1"},
        "status": {
            "phase": phase,
            "podIP": "10.0.0.9",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"restartCount": restarts}],
        },
    }


@dataclass(frozen=True)
class Reads:
    """An API server with these objects; labels are not looked at."""

    objects: tuple

    def items(self, namespace, kind, selector=""):
        return [one for one in self.objects if one["kind"] == kind]


class Away:
    def items(self, *_):
        raise ClusterFailed("connection refused")


def pods_of(*pods, kubectl=unreachable):
    return KubePods(Reads(pods), kubectl, "shop")


def test_pods_that_ended_or_are_being_deleted_are_no_targets():
    pods = pods_of(pod("b", restarts=2), pod("a", ready=False), pod("c", phase="Failed"), pod("d", deleting=True))

    assert pods.of("gateway") == (
        LivePod("a", "gateway", "node-1", "10.0.0.9", ready=False),
        LivePod("b", "gateway", "node-1", "10.0.0.9", ready=True, restarts=2),
    )


def test_a_pod_is_killed_without_grace():
    said = []

    pods_of(kubectl=lambda *words: said.append(words) or "").kill("a")

    assert said == [
        ("-n", "shop", "delete", "pod", "a", "--grace-period=0", "--force", "--ignore-not-found", "--wait=false")
    ]


@pytest.mark.parametrize(
    ("roles", "primary"), [(("primary", "replica"), "p-0"), (("replica", "replica"), None), (("primary",) * 2, None)]
)
def test_the_primary_is_the_one_pod_that_patroni_labelled_so(roles, primary):
    label = "demo-shop/database-role"
    members = [pod(f"p-{i}", "postgres", **{label: role}) for i, role in enumerate(roles)]

    assert pods_of(*members).primary("postgres") == primary


def test_an_api_server_that_is_away_fails_verbs_and_is_unknown_to_observers():
    with pytest.raises(VerbFailed, match="connection refused"):
        KubePods(Away(), unreachable, "shop").of("gateway")
    with pytest.raises(VerbFailed, match="the cluster is gone"):
        pods_of().kill("a")
    assert KubeWorkloads(Away(), "shop").rows(5.0) is None


def test_workloads_are_counted_with_their_floors_and_the_pods_that_cost():
    labels = {"labels": {"app.kubernetes.io/component": "gateway"}}
    deployment = {"kind": "Deployment", "metadata": labels, "spec": {"replicas": 3}, "status": {"readyReplicas": 1}}
    hpa = {"kind": "HorizontalPodAutoscaler", "metadata": labels, "spec": {"minReplicas": 2}}
    other = {"kind": "Deployment", "metadata": {"labels": {}}, "spec": {}, "status": {}}
    pending = pod("c")
    del pending["spec"]["nodeName"]
    items = (deployment, hpa, other, pod("a"), pod("b", deleting=True), pending, pod("d", phase="Succeeded"))

    rows = KubeWorkloads(Reads(items), "shop").rows(5.0)

    assert rows == (WorkloadRow(5.0, "gateway", desired=3, ready=1, pods=2, floor=2),)


def test_pods_that_were_asked_for_a_moment_ago_are_on_their_way_not_ill():
    def look(desired, ready):
        return (WorkloadRow(0.0, "gateway", desired, ready, pods=desired, floor=2),)

    assert unready([]) == ()
    assert unready([look(2, 2), look(4, 2)]) == ()
    assert unready([look(4, 2), look(4, 3)]) == ("gateway",)
    assert unready([look(2, 2), look(4, 1)]) == ("gateway",)


@pytest.fixture
def api(tmp_path):
    """A reader of the API server on this port."""
    with ExitStack() as readers:

        def reader(port):
            server = {"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}
            path = tmp_path / "kubeconfig"
            path.write_text(
                json.dumps(
                    {
                        "apiVersion": "v1",
                        "kind": "Config",
                        "clusters": [server],
                        "users": [{"name": "me", "user": {"token": "secret"}}],
                        "contexts": [{"name": "c", "context": {"cluster": "here", "user": "me"}}],
                        "current-context": "c",
                    }
                )
            )
            return readers.enter_context(api_reader(path))

        yield reader


def test_objects_are_read_by_kind_and_label(api, served):
    asked = []

    def answer(method, path, body, authorisation):
        asked.append((method, path, authorisation))
        return 200, {"kind": "PodList", "items": [{"metadata": {"name": "a"}}]}

    found = api(served(answer)).items("shop", "Pod", "app=gateway")

    assert found == [{"metadata": {"name": "a"}, "kind": "Pod"}]
    assert asked == [("GET", "/api/v1/namespaces/shop/pods?labelSelector=app%3Dgateway", "Bearer secret")]


@pytest.mark.parametrize("answer", [(500, {}), (200, {"no": "items"}), (403, {"message": "forbidden"})])
def test_an_answer_that_is_none_is_a_cluster_that_failed(api, served, answer):
    with pytest.raises(ClusterFailed, match="deployments"):
        api(served(lambda *_: answer)).items("shop", "Deployment")


# -- the provider ------------------------------------------------------------------------------


def test_machines_are_hurt_by_their_provider_and_its_failures_are_failed_verbs():
    hurt = []

    class Provider:
        def kill_node(self, node):
            hurt.append(node)

        def heal_zone(self, zone):
            raise ClusterFailed(f"no zone is called {zone}")

    machines = ProviderMachines(Provider())
    machines.kill_node("node-2")

    assert hurt == ["node-2"]
    with pytest.raises(VerbFailed, match="no zone is called z"):
        machines.heal_zone("z")


# -- the load ----------------------------------------------------------------------------------


def progress(elapsed_s, ok=0, failed=0, skipped=0, p99_ms=None):
    return Progress(elapsed_s, 420.0, 20.0, 0, p99_ms, ok, failed, skipped)


@pytest.fixture
def started(scenario, limits, tmp_path):
    def start(run_load):
        plan = live_plan(scenario(), 1, limits)
        driver = ThreadedLoad(lambda: "http://127.0.0.1:1", run_load, now_s=lambda: 1000.0)
        return driver.start(plan, RunFolder(tmp_path / "run"))

    return start


def test_a_load_says_when_it_began_and_how_far_it_is(started):
    done = threading.Event()

    def run_load(plan, watch):
        watch(progress(2.0))
        watch(progress(3.0, ok=50, failed=2, skipped=1, p99_ms=80.0))
        done.wait(30.0)

    load = started(run_load)
    done.set()
    load.stop()

    seen = load.seen()
    assert load.began_s == 998.0
    assert (seen.settled, seen.bad, seen.p99_s, seen.ended) == (53, 3, 0.08, True)


def test_a_load_is_stopped_once_as_an_interrupt_would(started):
    asked = []

    def run_load(plan, watch):
        watch(progress(1.0))
        while not asked:
            try:
                watch(progress(2.0))
            except KeyboardInterrupt:
                asked.append("interrupt")
        watch(progress(3.0))  # what was under way still comes in

    load = started(run_load)
    load.stop()
    load.stop()

    assert asked == ["interrupt"]


def test_a_load_that_cannot_begin_or_breaks_off_fails_the_run(started):
    def broken(plan, watch):
        raise RuntimeError("no such shop")

    with pytest.raises(RunFailed, match="did not begin: no such shop"):
        started(broken)

    going = threading.Event()

    def breaking(plan, watch):
        watch(progress(1.0))
        going.wait(30.0)
        raise RuntimeError("the sender died")

    load = started(breaking)
    going.set()
    load.stop()
    with pytest.raises(RunFailed, match="broke off: the sender died"):
        load.seen()


def test_visits_and_seed_are_the_plans(started):
    asked = []

    def run_load(plan, watch):
        asked.append(plan)
        watch(progress(1.0))

    started(run_load).stop()

    [plan] = asked
    assert (plan.seed, plan.shape.duration_s) == (1, 420.0)
    assert plan.ledger.name == "ledger.jsonl" and plan.probe is not None


# -- Prometheus --------------------------------------------------------------------------------


def matrix(*series):
    return 200, {"data": {"result": [{"metric": metric, "values": values} for metric, values in series]}}


def test_rows_of_services_join_what_several_questions_answer(served):
    def answer(method, path, body, authorisation):
        if "histogram_quantile%280.99" in path:
            return matrix(({"component": "cart"}, [[100, "80"], [105, "NaN"]]))
        if "histogram_quantile" in path or "status" in path:
            return matrix()
        return matrix(({"component": "cart"}, [[100, "5"], [105, "6"]]))

    rows = PrometheusRows(at(served(answer)), "shop", "shop").services(100.0, 105.0, 5.0)

    assert [(r.at_s, r.offered_rps, r.failed_rps, r.p50_ms, r.p99_ms) for r in rows] == [
        (100.0, 5.0, None, None, 80.0),
        (105.0, 6.0, None, None, None),
    ]


def test_rows_of_pods_have_stores_too(served):
    def answer(method, path, body, authorisation):
        if "container_cpu" in path:
            used = [({"pod": name}, [[100, "0.2"]]) for name in ("shop-cart-1", "shop-postgres-0", "somebody-else")]
            return matrix(*used)
        return matrix(({"component": "cart", "pod": "shop-cart-1"}, [[100, "5"]]))

    rows = PrometheusRows(at(served(answer)), "shop", "shop").pods(100.0, 100.0, 5.0)

    assert [(r.service, r.pod, r.answered_rps, r.cpu_cores) for r in rows] == [
        ("cart", "shop-cart-1", 5.0, 0.2),
        ("postgres", "shop-postgres-0", None, 0.2),
    ]


def test_a_pods_requests_and_cpu_are_of_the_same_seconds(served):
    asked = []

    def answer(method, path, body, authorisation):
        asked.append(path)
        return matrix()

    PrometheusRows(at(served(answer)), "shop", "shop").pods(100.0, 100.0, 5.0)

    assert len(asked) == 2 and all(f"{POD_WINDOW_S:g}s" in path for path in asked)


def test_a_prometheus_that_refuses_fails_the_run(served):
    port = served(lambda *_: (503, {}))

    with pytest.raises(RunFailed, match="Prometheus did not answer"):
        PrometheusRows(at(port), "shop", "shop").services(0.0, 5.0, 5.0)
