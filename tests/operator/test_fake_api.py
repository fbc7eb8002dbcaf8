"""The fake API server behaves as the real one where the operator relies on it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from fake_api import FakeApi
from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

HPA = "horizontalpodautoscalers"


def pod(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": labels}}


def names(listed: Any) -> list[str]:
    return [item.metadata.name for item in listed.items]


def test_lists_by_label_and_field(fake_api: FakeApi) -> None:
    fake_api.put(pod("a", app="web"))
    fake_api.put(pod("b", app="web", tier="x"))
    fake_api.put(pod("c", app="db"))
    core = client.CoreV1Api(fake_api.client())

    assert names(core.list_namespaced_pod("shop", label_selector="app=web")) == ["a", "b"]
    assert names(core.list_pod_for_all_namespaces(label_selector="app in (web, db),!tier")) == ["a", "c"]
    assert names(core.list_namespaced_pod("shop", field_selector="metadata.name=c")) == ["c"]
    assert names(core.list_namespaced_pod("elsewhere")) == []


def test_pages_a_long_list(fake_api: FakeApi) -> None:
    for name in "abc":
        fake_api.put(pod(name))
    core = client.CoreV1Api(fake_api.client())

    first = core.list_namespaced_pod("shop", limit=2)
    second = core.list_namespaced_pod("shop", limit=2, _continue=first.metadata._continue)

    assert names(first) + names(second) == ["a", "b", "c"]
    assert second.metadata._continue is None


def test_a_patch_whose_test_fails_changes_nothing(fake_api: FakeApi) -> None:
    fake_api.put(pod("a", app="web"))
    core = client.CoreV1Api(fake_api.client())
    operations = [
        {"op": "test", "path": "/metadata/labels/app", "value": "db"},
        {"op": "replace", "path": "/metadata/labels/app", "value": "new"},
    ]

    with pytest.raises(ApiException) as refused:
        core.patch_namespaced_pod("a", "shop", operations)

    assert refused.value.status == 422
    assert fake_api.get("pods", "shop", "a")["metadata"]["labels"] == {"app": "web"}


def test_a_patch_applies_as_a_whole(fake_api: FakeApi) -> None:
    fake_api.put(pod("a", app="web"))
    operations = [
        {"op": "test", "path": "/metadata/labels/app", "value": "web"},
        {"op": "add", "path": "/metadata/labels/foresail.dev~1traffic", "value": "off"},
        {"op": "add", "path": "/metadata/annotations", "value": {"k": "v"}},
    ]

    client.CoreV1Api(fake_api.client()).patch_namespaced_pod("a", "shop", operations)

    after = fake_api.get("pods", "shop", "a")["metadata"]
    assert after["labels"] == {"app": "web", "foresail.dev/traffic": "off"}
    assert after["annotations"] == {"k": "v"}


def test_a_stale_replace_conflicts(fake_api: FakeApi) -> None:
    made = fake_api.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "namespace": "shop"}})
    fake_api.change("configmaps", "shop", "m", lambda row: row.update(data={"by": "another"}))

    with pytest.raises(ApiException) as refused:
        client.CoreV1Api(fake_api.client()).replace_namespaced_config_map("m", "shop", made)

    assert refused.value.status == 409


def test_scale_is_a_view_of_the_object(fake_api: FakeApi) -> None:
    meta = {"name": "web", "namespace": "shop"}
    fake_api.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {"replicas": 2}})
    apps = client.AppsV1Api(fake_api.client())

    apps.patch_namespaced_deployment_scale("web", "shop", [{"op": "replace", "path": "/spec/replicas", "value": 5}])

    assert apps.read_namespaced_deployment_scale("web", "shop").spec.replicas == 5
    after = fake_api.get("deployments", "shop", "web")
    assert after["spec"]["replicas"] == 5 and after["metadata"]["generation"] == 2


def test_status_is_written_only_through_its_subresource(fake_api: FakeApi) -> None:
    fake_api.put(pod("a") | {"status": {"phase": "Running"}})
    core = client.CoreV1Api(fake_api.client())
    failed = [{"op": "replace", "path": "/status/phase", "value": "Failed"}]

    core.patch_namespaced_pod("a", "shop", failed)
    assert fake_api.get("pods", "shop", "a")["status"] == {"phase": "Running"}

    core.patch_namespaced_pod_status("a", "shop", failed)
    assert fake_api.get("pods", "shop", "a")["status"] == {"phase": "Failed"}


def test_an_eviction_is_refused_by_an_exhausted_budget(fake_api: FakeApi) -> None:
    fake_api.put(pod("a", app="web"))
    fake_api.put(pod("b", app="web"))
    fake_api.put(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}},
            "status": {"disruptionsAllowed": 1},
        }
    )
    core = client.CoreV1Api(fake_api.client())

    core.create_namespaced_pod_eviction("a", "shop", {"metadata": {"name": "a"}})
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_pod_eviction("b", "shop", {"metadata": {"name": "b"}})

    assert refused.value.status == 429
    assert not fake_api.exists("pods", "shop", "a") and fake_api.exists("pods", "shop", "b")


def test_a_watch_tells_what_happens(fake_api: FakeApi) -> None:
    fake_api.put(pod("a"))
    core = client.CoreV1Api(fake_api.client())
    version = core.list_namespaced_pod("shop").metadata.resource_version
    later = threading.Timer(0.05, lambda: fake_api.put(pod("b")))
    later.start()

    stream = watch.Watch()
    first = next(iter(stream.stream(core.list_namespaced_pod, "shop", resource_version=version, timeout_seconds=10)))
    stream.stop()
    later.join()

    assert (first["type"], first["object"].metadata.name) == ("ADDED", "b")


def test_a_watch_from_before_compaction_is_gone(fake_api: FakeApi) -> None:
    fake_api.put(pod("a"))
    fake_api.put(pod("b"))
    fake_api.forget_history()
    core = client.CoreV1Api(fake_api.client())

    with pytest.raises(ApiException) as refused:
        list(watch.Watch().stream(core.list_namespaced_pod, "shop", resource_version="1", timeout_seconds=2))

    assert refused.value.status == 410


def test_a_lost_answer_leaves_the_write_done(fake_api: FakeApi) -> None:
    fake_api.put(pod("a", app="web"))
    fake_api.fail(500, match="PATCH", times=1, after=True)

    with pytest.raises(ApiException):
        client.CoreV1Api(fake_api.client()).patch_namespaced_pod("a", "shop", {"metadata": {"labels": {"app": "x"}}})

    assert fake_api.get("pods", "shop", "a")["metadata"]["labels"] == {"app": "x"}


def test_forbids_what_it_is_told_to(fake_api: FakeApi) -> None:
    fake_api.forbid("list", "pods")

    with pytest.raises(ApiException) as refused:
        client.CoreV1Api(fake_api.client()).list_namespaced_pod("shop")

    assert refused.value.status == 403


def test_refuses_connections_while_down_and_keeps_its_objects(fake_api: FakeApi) -> None:
    fake_api.put(pod("a"))
    core = client.CoreV1Api(fake_api.client())
    assert names(core.list_namespaced_pod("shop")) == ["a"]

    fake_api.down()
    with pytest.raises(HTTPError):
        core.list_namespaced_pod("shop", _request_timeout=2.0)

    fake_api.up()
    assert names(core.list_namespaced_pod("shop")) == ["a"]


def test_hangs_until_healed(fake_api: FakeApi) -> None:
    core = client.CoreV1Api(fake_api.client())
    fake_api.hang(match="/pods")

    with pytest.raises(HTTPError):
        core.list_namespaced_pod("shop", _request_timeout=0.1)

    fake_api.heal()
    assert names(core.list_namespaced_pod("shop", _request_timeout=5.0)) == []


def test_lets_somebody_in_between(fake_api: FakeApi) -> None:
    fake_api.put(pod("a", app="web"))
    fake_api.before("PATCH", lambda: fake_api.change("pods", "shop", "a", lambda p: p["metadata"].update(labels={})))
    operations = [{"op": "test", "path": "/metadata/labels", "value": {"app": "web"}}]

    with pytest.raises(ApiException):
        client.CoreV1Api(fake_api.client()).patch_namespaced_pod("a", "shop", operations)

    assert [request.method for request in fake_api.writes] == ["PATCH"]


def test_lacks_kinds_that_are_not_installed(fake_api: FakeApi) -> None:
    fake_api.without("scaledobjects")

    with pytest.raises(ApiException) as refused:
        client.CustomObjectsApi(fake_api.client()).list_cluster_custom_object("keda.sh", "v1alpha1", "scaledobjects")

    assert refused.value.status == 404
