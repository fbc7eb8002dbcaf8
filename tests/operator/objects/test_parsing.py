"""Records out of API objects, also out of odd ones."""

from __future__ import annotations

from typing import Any

import pytest
from api_objects import Object, container, deployment, hpa, node, pod, quota, scaled_object
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foresail.objects import kinds, parsing
from foresail.objects.fields import quantity, time_s
from foresail.objects.object_state import Records, joined
from foresail.objects.pod_template import pod_resources, pod_template, scheduled_request
from foresail.objects.records import ProbeTarget, Resources
from foresail.objects.workload_views import nodes_seen, workloads_seen

MIB = 1024.0 * 1024.0


@pytest.mark.parametrize(
    ("said", "means"),
    [
        pytest.param("250m", 0.25, id="thousandths"),
        pytest.param("64Mi", 64 * MIB, id="binary"),
        pytest.param("1e3", 1000.0, id="exponent"),
        pytest.param(2, 2.0, id="a number"),
        pytest.param("nan", None, id="not a number"),
        pytest.param("1E+99999", None, id="endless"),
        pytest.param("lots", None, id="words"),
        pytest.param(True, None, id="a truth"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_quantities(said: Any, means: float | None) -> None:
    assert quantity({"cpu": said}, "cpu") == means


def test_times_are_unix_seconds() -> None:
    assert time_s({"t": "1970-01-01T00:01:00Z"}, "t") == 60.0
    assert time_s({"t": "1970-01-01T00:01:00.500000Z"}, "t") == 60.5
    assert time_s({"t": "yesterday"}, "t") is None


def test_a_pod_needs_what_its_containers_and_sidecars_need() -> None:
    sidecar = container("mesh", requests={"cpu": "100m"}, limits={"cpu": "200m", "memory": "32Mi"})
    spec = {
        "initContainers": [sidecar | {"restartPolicy": "Always"}, container("migrate", requests={"cpu": "2"})],
        "containers": [container(requests={"cpu": "250m", "memory": "64Mi"}, limits={"cpu": "1", "memory": "96Mi"})],
        "overhead": {"cpu": "50m"},
    }

    # The sidecar asks for no memory, so its limit is its request: 64 + 32. `migrate` ends before anything is served.
    assert pod_resources(spec) == Resources(
        cpu_request_cores=pytest.approx(0.4),
        cpu_limit_cores=pytest.approx(1.25),
        memory_request_bytes=96 * MIB,
        memory_limit_bytes=128 * MIB,
    )
    # … but it needs room once: 0.1 of the sidecar that is up before it, 2 of its own, 0.05 overhead.
    assert scheduled_request(spec, "cpu") == pytest.approx(2.15)


def test_a_container_without_a_limit_leaves_the_pod_without_one() -> None:
    spec = {"containers": [container("a", limits={"cpu": "1"}), container("b", requests={"cpu": "1"})]}

    assert pod_resources(spec).cpu_limit_cores is None
    assert pod_resources(spec).cpu_request_cores == 2.0


def test_a_pod_that_asks_for_nothing_has_no_request() -> None:
    assert pod_resources({"containers": [container()]}) == Resources()


def fingerprint(*containers: Object) -> int:
    return pod_template({"spec": {"containers": list(containers)}}).fingerprint


def test_the_fingerprint_changes_with_image_requests_and_limits_only() -> None:
    before = fingerprint(container(requests={"cpu": "1"}))

    assert before == fingerprint(container(requests={"cpu": "1000m"}) | {"env": [{"name": "A", "value": "b"}]})
    assert before != fingerprint(container(requests={"cpu": "2"}))
    assert before != fingerprint(container(requests={"cpu": "1"}, limits={"cpu": "2"}))
    assert before != fingerprint(container(image="shop:2", requests={"cpu": "1"}))
    assert 0 <= before < 2**52


def test_the_fingerprint_does_not_mind_the_order_of_containers() -> None:
    a, b = container("a", image="x"), container("b", image="y")

    assert fingerprint(a, b) == fingerprint(b, a)


@pytest.mark.parametrize(
    ("described", "target"),
    [
        pytest.param(
            {"readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}}},
            ProbeTarget(9090, "/-/ready"),
            id="http",
        ),
        pytest.param(
            {
                "ports": [{"name": "manage", "containerPort": 9443}],
                "readinessProbe": {"httpGet": {"port": "manage", "scheme": "HTTPS"}},
            },
            ProbeTarget(9443, "/", tls=True),
            id="https by the port's name",
        ),
        pytest.param({"readinessProbe": {"tcpSocket": {"port": 5432}}}, ProbeTarget(5432), id="tcp"),
        pytest.param({"ports": [{"containerPort": 8080}]}, ProbeTarget(8080), id="no probe: the first port"),
        pytest.param({"readinessProbe": {"exec": {"command": ["true"]}}}, None, id="nothing that we could ask"),
        pytest.param({"readinessProbe": {"httpGet": {"port": "nowhere"}}}, None, id="a name that no port has"),
    ],
)
def test_where_a_pod_is_probed(described: Object, target: ProbeTarget | None) -> None:
    assert pod_template({"spec": {"containers": [container() | described]}}).probe == target


def test_a_pod_record() -> None:
    described = pod(ready_at="2026-01-01T00:00:30Z")
    described["status"]["containerStatuses"] = [{"restartCount": 2}]
    described["status"]["initContainerStatuses"] = [
        {"restartCount": 3, "state": {"terminated": {}}},  # tried again before it started: no restart of the pod
        {"restartCount": 1, "state": {"running": {}}},
    ]

    record = parsing.pod(described)

    assert record is not None
    assert record.meta.key == "shop/web-1-a"
    assert record.ready_at_s is not None and record.created_at_s is not None
    assert record.ready_at_s - record.created_at_s == 30.0
    assert record.restarts == 3
    assert record.cpu_request_cores == 0.25 and record.memory_request_bytes == 0.0


def test_hpas_and_scaled_objects_have_the_defaults_of_their_apis() -> None:
    record = parsing.hpa(hpa(least=None))
    scaled = parsing.scaled_object(scaled_object())

    assert record is not None and record.min_replicas == 1 and record.max_replicas == 10
    assert scaled is not None and (scaled.min_replicas, scaled.max_replicas) == (0, 100)
    assert scaled.target_kind == "Deployment"


@pytest.mark.parametrize(
    ("annotations", "paused"),
    [
        ({"autoscaling.keda.sh/paused": "true"}, True),
        ({"autoscaling.keda.sh/paused": "false"}, False),
        ({"autoscaling.keda.sh/paused-replicas": "4"}, True),
        ({"autoscaling.keda.sh/paused-scale-out": "true"}, True),
        ({"autoscaling.keda.sh/paused-scale-in": "true"}, False),  # growing is still allowed
        ({}, False),
    ],
)
def test_keda_can_be_paused(annotations: Object, paused: bool) -> None:
    scaled = parsing.scaled_object(scaled_object(annotations=annotations))

    assert scaled is not None and scaled.paused is paused


@pytest.mark.parametrize(("said", "ready"), [("True", True), ("False", False), ("Unknown", None), ("?", None)])
def test_a_node_is_ready_not_ready_or_unknown(said: str, ready: bool | None) -> None:
    record = parsing.node(node(ready=said))

    assert record is not None and record.ready is ready


def test_quotas_of_other_pods_say_nothing() -> None:
    ours = parsing.quota(quota(hard={"pods": "10"}, used={"pods": "4"}))
    of_jobs = parsing.quota(quota(hard={"pods": "10"}, scopes=["Terminating"]))

    assert ours is not None and ours.left == {"pods": 6.0}
    assert of_jobs is not None and of_jobs.left == {}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, inner in inside for found in leaves(inner, (*path, key)))]


def with_odd(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = with_odd(value[path[0]], path[1:], odd)
    return changed


@settings(
    max_examples=150, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.data())
def test_nothing_odd_in_an_object_is_an_error(data: st.DataObject) -> None:
    whole: dict[str, Object] = {
        "pods": pod(),
        "nodes": node(taints=[{"key": "a", "effect": "NoSchedule"}]),
        "deployments": deployment(pod={"nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]}),
        "statefulsets": deployment("db"),
        "horizontalpodautoscalers": hpa(scaleUp={"selectPolicy": "Disabled"}),
        "scaledobjects": scaled_object(minReplicaCount=1),
        "resourcequotas": quota(hard={"cpu": "1"}),
    }
    plural = data.draw(st.sampled_from(sorted(whole)))
    kind = next(kind for kind in kinds.KINDS if kind.plural == plural)
    described = whole[kind.plural]
    path = data.draw(st.sampled_from([path for path in leaves(described) if path]))

    record = kind.parse(with_odd(described, path, data.draw(ANYTHING)))

    if record is not None:
        fields = {"pods": "pods", "nodes": "nodes", "deployments": "deployments", "statefulsets": "stateful_sets"}
        fields |= {"horizontalpodautoscalers": "hpas", "scaledobjects": "scaled_objects", "resourcequotas": "quotas"}
        others = {"deployments": {"shop/web": parsing.deployment(deployment())}}
        state = joined(Records(**(others | {fields[kind.plural]: {record.meta.key: record}})))  # type: ignore[arg-type]
        workloads_seen(state)
        nodes_seen(state)
