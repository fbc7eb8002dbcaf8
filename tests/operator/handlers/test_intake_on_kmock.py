"""kopf's intake against kmock: policies come, change and go, watches end badly, and nothing is ever written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import kmock as km
import kopf
import pytest

from foresail import handlers
from foresail.policy_store import PolicyStore
from foresail.resources.crd import GROUP, PLURAL, VERSION
from policies.model import Mode

pytestmark = pytest.mark.asyncio

POLICIES = km.resource(f"{GROUP}/{VERSION}/{PLURAL}")
PATIENCE_S = 20.0
GONE = {
    "type": "ERROR",
    "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"},
}


def policy(name: str, mode: str = "Observe") -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "ResiliencePolicy",
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "resourceVersion": "1"},
        "spec": {"mode": mode, "targets": [{"name": "web", "workload": {"name": "web"}}]},
    }


@pytest.fixture
def cluster(kmock: km.KubernetesEmulator) -> km.KubernetesEmulator:
    """It knows the kind, and has no policy yet. kopf waits until it has seen the kind of namespaces."""
    verbs = {"get", "list", "watch", "patch"}
    kmock.resources[km.resource("v1/namespaces")] = {"kind": "Namespace", "namespaced": False, "verbs": verbs}
    kmock.resources[POLICIES] = {"kind": "ResiliencePolicy", "namespaced": True, "verbs": verbs}
    return kmock


@asynccontextmanager
async def intake(cluster: km.KubernetesEmulator) -> AsyncIterator[PolicyStore]:
    """The handler as the operator registers it, with nothing behind it but the store."""
    registry, settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
    kopf.on.login(registry=registry)(lambda **_: kopf.ConnectionInfo(server=str(cluster.url)))
    kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)(handlers.policy_seen)
    handlers.quieten(settings)
    settings.networking.error_backoffs = (0.01,) * 2000
    settings.watching.reconnect_backoff = 0.01
    store, stop = PolicyStore(), threading.Event()
    memo = kopf.Memo(operator=SimpleNamespace(store=store))

    def run() -> None:
        asyncio.run(kopf.operator(registry=registry, settings=settings, memo=memo, clusterwide=True, stop_flag=stop))

    # In a loop of its own: at its end it waits for whatever else goes on in its loop.
    running = asyncio.create_task(asyncio.to_thread(run))
    try:
        yield store
    finally:
        stop.set()
        await asyncio.wait_for(running, PATIENCE_S)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.01)


def modes(store: PolicyStore) -> dict[str, Mode]:
    return {one.name.name: one.spec.mode for one in store.snapshot().resources if one.spec is not None}


PATH = f"/apis/{GROUP}/{VERSION}/namespaces/shop/{PLURAL}"


async def create(cluster: km.KubernetesEmulator, body: dict[str, Any]) -> None:
    async with cluster.post(PATH, json=body) as answer:
        answer.raise_for_status()


async def change(cluster: km.KubernetesEmulator, name: str, mode: str) -> None:
    async with cluster.patch(f"{PATH}/{name}", json={"spec": {"mode": mode}}) as answer:
        answer.raise_for_status()


async def delete(cluster: km.KubernetesEmulator, name: str) -> None:
    async with cluster.delete(f"{PATH}/{name}") as answer:
        answer.raise_for_status()


async def test_policies_that_are_there_at_the_start_are_taken_in(cluster: km.KubernetesEmulator) -> None:
    cluster.objects[POLICIES, "shop", "first"] = policy("first")

    async with intake(cluster) as store:
        await until(lambda: modes(store) == {"first": Mode.OBSERVE})


async def test_policies_come_change_and_go(cluster: km.KubernetesEmulator) -> None:
    async with intake(cluster) as store:
        await create(cluster, policy("shop"))
        await until(lambda: modes(store) == {"shop": Mode.OBSERVE})

        await change(cluster, "shop", "Enforce")
        await until(lambda: modes(store) == {"shop": Mode.ENFORCE})

        await delete(cluster, "shop")
        await until(lambda: modes(store) == {})


async def test_nothing_is_written(cluster: km.KubernetesEmulator) -> None:
    cluster.objects[POLICIES, "shop", "first"] = policy("first")

    async with intake(cluster) as store:
        await until(lambda: modes(store) == {"first": Mode.OBSERVE})

    assert {request.method for request in cluster} == {km.method.GET}


async def test_an_object_that_cannot_be_read_keeps_no_other_from_being_taken_in(
    cluster: km.KubernetesEmulator,
) -> None:
    async with intake(cluster) as store:
        await create(cluster, {**policy("odd"), "spec": ["no", "mapping"]})
        await create(cluster, policy("fine"))

        await until(lambda: modes(store) == {"fine": Mode.OBSERVE})
        odd = next(one for one in store.snapshot().resources if one.name.name == "odd")
        assert odd.spec is None and odd.problems


async def test_a_watch_whose_past_is_forgotten_begins_anew_with_what_there_is(cluster: km.KubernetesEmulator) -> None:
    """410 Gone in the stream: what changed meanwhile is in the next list."""
    cluster.objects[POLICIES, "shop", "first"] = policy("first")
    cluster[km.action.WATCH, POLICIES][:2] << (GONE,)

    async with intake(cluster) as store:
        await until(lambda: len(cluster[km.action.WATCH, POLICIES]) >= 3)
        await create(cluster, policy("second", "Enforce"))

        await until(lambda: modes(store) == {"first": Mode.OBSERVE, "second": Mode.ENFORCE})
        assert len(cluster[km.action.LIST, POLICIES]) >= 3


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("refused", [km.action.LIST, km.action.WATCH], ids=["list", "watch"])
async def test_an_api_server_that_answers_badly_for_a_while_is_asked_again(
    cluster: km.KubernetesEmulator, refused: km.action, status: int
) -> None:
    cluster.objects[POLICIES, "shop", "first"] = policy("first")
    cluster[refused, POLICIES][:5] << status

    async with intake(cluster) as store:
        await until(lambda: modes(store) == {"first": Mode.OBSERVE})
        await change(cluster, "first", "Enforce")
        await until(lambda: modes(store) == {"first": Mode.ENFORCE})

    assert len(cluster[refused, POLICIES]) >= 6


async def test_a_watch_that_ends_is_opened_again(cluster: km.KubernetesEmulator) -> None:
    cluster[km.action.WATCH, POLICIES][:3] << ({"type": "ADDED", "object": policy("first")},)

    async with intake(cluster) as store:
        await until(lambda: len(cluster[km.action.WATCH, POLICIES]) >= 4)
        await create(cluster, policy("second"))

        await until(lambda: modes(store) == {"first": Mode.OBSERVE, "second": Mode.OBSERVE})
