"""Policies from events and lists, over the workloads that exist, with the kill switch."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from api_objects import deployment
from fake_api import FakeApi
from kubernetes import client

from foresail.declared import Declared
from foresail.kill_switch import KillSwitch
from foresail.objects.object_state import ObjectState, Records, joined
from foresail.objects.parsing import deployment as parsed
from foresail.policy_lister import PolicyLister
from foresail.policy_store import PolicyStore

POLICY: dict[str, Any] = {
    "apiVersion": "foresail.dev/v1alpha1",
    "kind": "ResiliencePolicy",
    "metadata": {"name": "shop", "namespace": "shop", "uid": "uid-shop", "generation": 1},
    "spec": {
        "mode": "Enforce",
        "targets": [{"name": "web", "role": "Entry", "workload": {"kind": "Deployment", "name": "web"}}],
        "metrics": {"preset": "otel-http"},
    },
}


def policy(name: str = "shop", mode: str = "Enforce") -> dict[str, Any]:
    body = copy.deepcopy(POLICY)
    body["metadata"] |= {"name": name, "uid": f"uid-{name}"}
    body["spec"]["mode"] = mode
    return body


def state(*names: str) -> ObjectState:
    records = [parsed(deployment(name)) for name in names]
    return joined(Records(deployments={record.meta.key: record for record in records if record is not None}))


class Objects:
    def __init__(self, seen: ObjectState | None) -> None:
        self.seen = seen

    def state(self) -> ObjectState | None:
        return self.seen


def listed(*bodies: object) -> PolicyStore:
    store = PolicyStore()
    store.listed(store.listing(), bodies)
    return store


def modes(store: PolicyStore) -> dict[str, str]:
    return {str(one.name): one.spec.mode.value for one in store.snapshot().resources if one.spec is not None}


def test_events_are_taken_in_one_by_one() -> None:
    store = PolicyStore()

    store.put(policy("a"))
    store.put(policy("b"))
    store.put(policy("a", mode="Observe"))
    store.remove(policy("b"))

    assert modes(store) == {"shop/a": "Observe"} and not store.known


def test_a_list_makes_the_picture_whole() -> None:
    store = PolicyStore()
    store.put(policy("gone"))

    store.listed(store.listing(), [policy("a")])

    assert modes(store) == {"shop/a": "Enforce"} and store.known


def test_a_list_that_began_before_an_event_does_not_undo_it() -> None:
    store = listed(policy("a"), policy("b"))
    turn = store.listing()
    store.put(policy("a", mode="Observe"))
    store.remove(policy("b"))
    store.put(policy("new"))

    store.listed(turn, [policy("a"), policy("b")])

    assert modes(store) == {"shop/a": "Observe", "shop/new": "Enforce"}


def test_what_has_not_changed_is_the_same_value() -> None:
    store = listed(policy("a"))
    before = store.snapshot()

    store.put(policy("a") | {"status": {"workloads": 3}})
    store.listed(store.listing(), [policy("a")])

    assert store.snapshot() is before


def test_an_object_of_no_shape_is_a_problem_and_no_error() -> None:
    store = listed({"metadata": {"name": "odd"}, "spec": 3}, "nothing at all")

    assert all(resource.problems for resource in store.snapshot().resources)


def test_policies_hold_for_the_workloads_that_exist() -> None:
    objects = Objects(state("web"))
    declared = Declared(listed(policy()), objects, lambda: False)

    assert set(declared.policies(0.0).workloads) == {"shop/web"}
    assert set(declared.bindings()) == {"shop/web"}

    objects.seen = state("cart")
    assert set(declared.policies(1.0).workloads) == set()


def test_routes_are_weighed_only_where_the_installation_may() -> None:
    stored, objects = listed(policy()), Objects(state("web"))

    assert Declared(stored, objects, lambda: False).policies(0.0).weights
    assert not Declared(stored, objects, lambda: False, weights=False).policies(0.0).weights


def test_nothing_is_mapped_anew_while_nothing_changes() -> None:
    declared = Declared(listed(policy()), Objects(state("web")), lambda: False)

    before = declared.mapped(1.0)

    assert declared.mapped(2.0) is before
    assert declared.mapped(61.0) is not before  # declared events move on


@pytest.mark.parametrize(
    ("store", "seen"),
    [
        pytest.param(PolicyStore(), state("web"), id="policies-not-listed"),
        pytest.param(listed(policy()), None, id="objects-not-listed"),
    ],
)
def test_nothing_is_declared_on_half_a_picture(store: PolicyStore, seen: ObjectState | None) -> None:
    assert Declared(store, Objects(seen), lambda: False).policies(0.0).workloads == {}


def test_the_kill_switch_is_part_of_what_is_declared() -> None:
    switch = [False]
    declared = Declared(listed(policy()), Objects(state("web")), lambda: switch[0])
    assert not declared.policies(0.0).kill_switch

    switch[0] = True

    assert declared.policies(0.0).kill_switch and set(declared.policies(0.0).workloads) == {"shop/web"}


def lister(api: FakeApi, store: PolicyStore, *namespaces: str) -> PolicyLister:
    return PolicyLister(client.CustomObjectsApi(api.client()), store, namespaces, timeout_s=2.0)


def test_the_lister_reads_all_namespaces_or_only_some(fake_api: FakeApi) -> None:
    fake_api.put(policy("a"))
    elsewhere = policy("b")
    elsewhere["metadata"]["namespace"] = "bank"
    fake_api.put(elsewhere)
    everything, some = PolicyStore(), PolicyStore()

    assert lister(fake_api, everything).list_once() and lister(fake_api, some, "bank").list_once()

    assert set(modes(everything)) == {"shop/a", "bank/b"} and set(modes(some)) == {"bank/b"}


def test_a_list_without_answer_changes_nothing_and_says_why_once(
    fake_api: FakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    store = listed(policy("a"))
    fake_api.without("resiliencepolicies")
    asking = lister(fake_api, store)

    assert not asking.list_once() and not asking.list_once()

    assert modes(store) == {"shop/a": "Enforce"}
    problems = [record.problem for record in caplog.records if record.message == "policies_not_listed"]  # type: ignore[attr-defined]
    assert problems == ["404 Not Found: is the CustomResourceDefinition installed?"]


@pytest.fixture
def switch(fake_api: FakeApi) -> Iterator[KillSwitch]:
    made = KillSwitch(fake_api.client(), "foresail")
    yield made
    made.stop(5.0)


def until(holds: Callable[[], bool]) -> None:
    ends_at_s = time.monotonic() + 10.0
    while not holds():
        assert time.monotonic() < ends_at_s, "it never came to hold"
        time.sleep(0.01)


def config_map(name: str = "foresail-kill-switch", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "foresail"}, "data": data}


def test_the_kill_switch_is_on_until_it_is_known_to_be_off(fake_api: FakeApi, switch: KillSwitch) -> None:
    assert switch.on

    switch.start()

    until(lambda: switch.known and not switch.on)


def test_the_kill_switch_follows_its_config_map_and_no_other(fake_api: FakeApi, switch: KillSwitch) -> None:
    switch.start()
    until(lambda: not switch.on)

    fake_api.put(config_map("something-else", stop="true"))
    fake_api.put(config_map(stop="true"))
    until(lambda: switch.on)
    fake_api.change("configmaps", "foresail", "foresail-kill-switch", lambda row: row["data"].update(stop="false"))
    until(lambda: not switch.on)
    fake_api.change("configmaps", "foresail", "foresail-kill-switch", lambda row: row["data"].update(stop="yes please"))
    until(lambda: switch.on)
    fake_api.delete("configmaps", "foresail", "foresail-kill-switch")

    until(lambda: not switch.on)


def test_the_lister_lists_soon_where_it_is_asked_to(fake_api: FakeApi) -> None:
    store = PolicyStore()
    asking = lister(fake_api, store)
    asking.start()
    try:
        until(lambda: store.known)
        fake_api.put(policy("late"))
        asking.list_soon()

        until(lambda: modes(store) == {"shop/late": "Enforce"})
    finally:
        asking.stop(5.0)
