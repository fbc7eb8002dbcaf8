"""Workloads of any kind that has a scale subresource: seen, told from others, and scaled through it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import api_objects
import pytest
from act_stage import NOW_S, StageFence, decision
from fake_api import FakeApi
from fake_store import Object, Resource

from foresail.actuators.live_cluster import LiveCluster, Outcome
from foresail.actuators.refusals import RefusalReason
from foresail.actuators.settings import ActuatorSettings
from foresail.objects.object_watch import ObjectWatch
from foresail.objects.selectors import parsed_query
from foresail.objects.workload_views import rollout_in_progress, workloads_seen
from foresail.state_directory import StateDirectory
from policies.decision import DetachPod, SetScale

ROLLOUTS, CACHES = ("argoproj.io/v1alpha1", "rollouts"), ("example.dev/v1", "caches")
PATIENCE_S = 60.0


def rollout(replicas: int = 2) -> Object:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": api_objects.meta("web"),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [api_objects.container()]}},
        },
        "status": {"replicas": replicas, "updatedReplicas": replicas, "observedGeneration": "1"},
    }


def cache(size: int = 3) -> Object:
    """A kind of somebody's own: no template, no pods' owner that is watched, replicas where it likes."""
    return {
        "apiVersion": "example.dev/v1",
        "kind": "Cache",
        "metadata": api_objects.meta("hot"),
        "spec": {"size": size},
        "status": {"replicas": size, "selector": "app=hot,tier in (a,b),!old"},
    }


def members(*names: str, **labels: str) -> list[Object]:
    return [
        api_objects.pod(name, owner="hot-engine", kind="CacheEngine", labels={"app": "hot", "tier": "a"} | labels)
        for name in names
    ]


@pytest.fixture
def api(fake_api: FakeApi) -> FakeApi:
    fake_api.serve(Resource("example.dev/v1", "caches", "Cache", scale=True, replicas_at="size"))
    for body in (rollout(), cache(), *members("hot-0", "hot-1"), *members("hot-old", old="yes")):
        fake_api.put(body)
    return fake_api


Watching = Callable[..., ObjectWatch]


@pytest.fixture
def watching(api: FakeApi) -> Iterator[Watching]:
    made: list[ObjectWatch] = []

    def start(*resources: tuple[str, str]) -> ObjectWatch:
        made.append(ObjectWatch(api.client(), scalables=resources))
        made[-1].start()
        assert made[-1].wait_synced(PATIENCE_S)
        return made[-1]

    yield start
    for watch in made:
        watch.stop()


def knows(watch: ObjectWatch, workload: str) -> bool:
    return watch.wait_until(lambda: (state := watch.state()) is not None and workload in state.workloads, PATIENCE_S)


def test_is_a_workload_like_any_other(watching: Watching) -> None:
    watch = watching(ROLLOUTS, CACHES)
    assert knows(watch, "shop/web") and knows(watch, "shop/hot")

    state = watch.state()
    assert state is not None
    web, hot = (workloads_seen(state)[name] for name in ("shop/web", "shop/hot"))
    assert (state.workloads["shop/web"].kind, web.replicas, web.rollout_in_progress, web.paused) == (
        "Rollout",
        2,
        False,
        False,
    )
    assert (state.workloads["shop/hot"].kind, hot.replicas) == ("Cache", 3)
    assert [pod.name for pod in hot.pods] == ["hot-0", "hot-1"]  # the scale's selector leaves the old one out


def test_kinds_that_the_installation_does_not_name_are_not_asked_for(api: FakeApi, watching: Watching) -> None:
    watch = watching(ROLLOUTS)
    assert knows(watch, "shop/web")

    state = watch.state()
    assert state is not None and "shop/hot" not in state.workloads
    assert not any("caches" in request.path for request in api.requests)


def test_pods_of_two_versions_are_a_rollout(api: FakeApi, watching: Watching) -> None:
    for body in (
        *members("hot-0", **{"controller-revision-hash": "r1"}),
        *members("hot-1", **{"controller-revision-hash": "r2"}),
    ):
        api.put(body)
    watch = watching(CACHES)
    assert knows(watch, "shop/hot")

    state = watch.state()
    assert state is not None and rollout_in_progress(state.workloads["shop/hot"])


def hands(api: FakeApi, watch: ObjectWatch, told: list[Outcome]) -> LiveCluster:
    settings = ActuatorSettings(api_timeout_s=10.0, scale_kinds=(ROLLOUTS, CACHES))
    return LiveCluster(api.client(), StateDirectory(watch.state, dict), StageFence(), settings, told.append)


@pytest.mark.parametrize(
    ("resource", "name", "field"),
    [pytest.param(ROLLOUTS, "web", "replicas", id="rollout"), pytest.param(CACHES, "hot", "size", id="own-kind")],
)
def test_is_scaled_through_its_scale_and_back(
    api: FakeApi, watching: Watching, resource: tuple[str, str], name: str, field: str
) -> None:
    watch = watching(resource)
    told: list[Outcome] = []
    assert knows(watch, f"shop/{name}")
    cluster = hands(api, watch, told)
    before = api.get(resource[1], "shop", name)["spec"][field]

    assert cluster.apply(SetScale(f"shop/{name}", before + 1, NOW_S + 60.0), decision(), NOW_S), told[-1].refused
    assert api.get(resource[1], "shop", name)["spec"][field] == before + 1

    cluster.settle(NOW_S + 60.0)
    found = api.get(resource[1], "shop", name)
    assert found["spec"][field] == before and not found["metadata"].get("annotations")
    cluster.close()


def test_its_pods_are_not_replaced(api: FakeApi, watching: Watching) -> None:
    watch = watching(CACHES)
    told: list[Outcome] = []
    assert knows(watch, "shop/hot")
    cluster = hands(api, watch, told)

    assert not cluster.apply(DetachPod("shop/hot", "hot-0", NOW_S + 60.0), decision(), NOW_S)
    assert told[-1].refused is not None and told[-1].refused.reason is RefusalReason.NOT_A_DEPLOYMENT
    cluster.close()


@pytest.mark.parametrize(
    "said",
    ["app=web", "app=web,tier in (a,b)", "app=web,tier notin (a,b),track,!old", "!old"],
)
def test_a_selector_in_one_line_is_read_as_it_is_said(said: str) -> None:
    found = parsed_query(said)

    assert found is not None and found.query == said


def test_a_selector_that_says_nothing_is_none_and_an_odd_one_is_nobodys() -> None:
    assert parsed_query("") is None
    odd = parsed_query("app=web,tier~b")
    assert odd is not None and not odd.matches({"app": "web"})
    unequal = parsed_query("app!=web")
    assert unequal is not None and unequal.matches({"app": "cart"}) and not unequal.matches({"app": "web"})
