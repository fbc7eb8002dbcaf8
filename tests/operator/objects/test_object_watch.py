"""Watch caches against an API server that restarts, forgets, hangs and refuses."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from api_objects import deployment, hpa, node, pod, replica_set, scaled_object, stateful_set
from fake_api import FakeApi

from foresail.objects.api_reading import ReadSettings
from foresail.objects.object_watch import ObjectWatch, WatchSettings
from foresail.objects.watch_cache import CacheSettings

LONG_S = 20.0  # no test waits so long unless it fails
SOON = CacheSettings(retry_s=0.005, longest_retry_s=0.02)
WATCHED = 10


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


Start = Callable[..., ObjectWatch]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(fake_api: FakeApi, clock: Clock) -> Iterator[Start]:
    made: list[ObjectWatch] = []

    def started(settings: WatchSettings | None = None) -> ObjectWatch:
        client = fake_api.client()
        client.rest_client.pool_manager.connection_pool_kw["maxsize"] = 64
        watch = ObjectWatch(client, settings or WatchSettings(cache=SOON), clock, random.Random(1))
        made.append(watch)
        watch.start()
        return watch

    yield started
    fake_api.heal()
    for watch in made:
        watch.stop()


def has_pods(watch: ObjectWatch, *names: str) -> bool:
    state = watch.state()
    return state is not None and sorted(state.pods) == [f"shop/{name}" for name in names]


def fill(api: FakeApi) -> None:
    for thing in (deployment(), replica_set(), pod(), node(), hpa(), stateful_set()):
        api.put(thing)


def watches_asked(api: FakeApi, plural: str) -> int:
    return sum(r.path.endswith(f"/{plural}") and "watch" in r.query for r in list(api.requests))


def lists_asked(api: FakeApi, plural: str) -> int:
    return sum(r.path.endswith(f"/{plural}") and "watch" not in r.query for r in list(api.requests))


def test_shows_what_is_there(fake_api: FakeApi, start: Start) -> None:
    fill(fake_api)
    watch = start()

    assert watch.wait_synced(LONG_S)

    state = watch.state()
    assert state is not None
    assert set(state.workloads) == {"shop/web", "shop/db"}
    web = state.workloads["shop/web"]
    assert [found.meta.name for found in web.pods] == ["web-1-a"]
    assert web.hpa is not None and web.hpa.min_replicas == 2
    assert set(state.nodes) == {"n1"}


def test_follows_changes(fake_api: FakeApi, start: Start) -> None:
    fill(fake_api)
    watch = start()
    assert watch.wait_synced(LONG_S)

    fake_api.put(pod("web-1-b"))
    assert watch.wait_until(lambda: has_pods(watch, "web-1-a", "web-1-b"), LONG_S)
    fake_api.delete("pods", "shop", "web-1-a")
    assert watch.wait_until(lambda: has_pods(watch, "web-1-b"), LONG_S)


def test_asks_nothing_while_nothing_changes(fake_api: FakeApi, start: Start) -> None:
    fill(fake_api)
    watch = start()
    assert watch.wait_synced(LONG_S)
    assert watch.wait_until(lambda: all(k.watches == 1 for k in watch.health(0.0).kinds.values()), LONG_S)
    asked = len(fake_api.requests)

    states = [watch.state() for _ in range(100)]

    assert len(fake_api.requests) == asked == 2 * WATCHED  # one list and one watch for each kind
    assert all(state is states[0] for state in states)


def test_knows_nothing_before_every_needed_kind_is_listed(fake_api: FakeApi, start: Start, clock: Clock) -> None:
    fill(fake_api)
    fake_api.fail(500, match="horizontalpodautoscalers")
    watch = start()
    assert watch.wait_until(
        lambda: (
            watch.health(0.0).kinds["horizontalpodautoscalers"].error is not None
            and all(k.synced for name, k in watch.health(0.0).kinds.items() if name != "horizontalpodautoscalers")
        ),
        LONG_S,
    )
    assert watch.state() is None and not watch.health(clock.now_s).ok

    fake_api.heal()

    assert watch.wait_synced(LONG_S)
    assert watch.state() is not None and watch.health(clock.now_s).ok


def test_lists_anew_when_its_version_is_gone(fake_api: FakeApi, start: Start) -> None:
    fill(fake_api)
    watch = start()
    assert watch.wait_synced(LONG_S)
    assert watch.wait_until(lambda: watch.health(0.0).kinds["pods"].watches == 1, LONG_S)

    fake_api.down()
    fake_api.put(pod("web-1-b"))
    fake_api.forget_history()
    fake_api.up()

    assert watch.wait_until(lambda: has_pods(watch, "web-1-a", "web-1-b"), LONG_S)
    assert lists_asked(fake_api, "pods") == 2


def test_goes_on_from_its_version_after_a_cut(fake_api: FakeApi, start: Start) -> None:
    fill(fake_api)
    watch = start()
    assert watch.wait_synced(LONG_S)
    assert watch.wait_until(lambda: watch.health(0.0).kinds["pods"].watches == 1, LONG_S)

    fake_api.down()
    fake_api.put(pod("web-1-b"))
    fake_api.delete("pods", "shop", "web-1-a")
    fake_api.up()

    assert watch.wait_until(lambda: has_pods(watch, "web-1-b"), LONG_S)
    assert lists_asked(fake_api, "pods") == 1


def test_a_server_that_is_away_makes_objects_stale_and_keeps_them(
    fake_api: FakeApi, start: Start, clock: Clock
) -> None:
    fill(fake_api)
    watch = start()
    assert watch.wait_synced(LONG_S)

    fake_api.down()
    assert watch.wait_until(lambda: watch.health(0.0).kinds["pods"].failing_for_s is not None, LONG_S)

    assert watch.health(clock.now_s + 4.0).ok  # within the grace of 5 s
    away = watch.health(clock.now_s + 60.0)
    assert not away.ok and away.age_s == 60.0 and away.kinds["pods"].failing_for_s == 60.0
    assert has_pods(watch, "web-1-a")

    fake_api.up()
    assert watch.wait_until(lambda: watch.health(clock.now_s + 60.0).kinds["pods"].failing_for_s is None, LONG_S)


def test_a_long_silence_makes_objects_stale(fake_api: FakeApi, start: Start, clock: Clock) -> None:
    fill(fake_api)
    watch = start()
    assert watch.wait_synced(LONG_S)
    assert watch.wait_until(lambda: all(k.watches == 1 for k in watch.health(0.0).kinds.values()), LONG_S)

    assert watch.health(clock.now_s + 180.0).ok
    assert not watch.health(clock.now_s + 181.0).ok


def test_a_silent_watch_is_opened_anew_and_is_no_failure(
    fake_api: FakeApi, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    fill(fake_api)
    read = ReadSettings(silence_s=0.05)
    watch = start(WatchSettings(read=read, cache=SOON))

    assert watch.wait_until(lambda: watch.health(0.0).kinds["pods"].watches >= 3, LONG_S)

    assert lists_asked(fake_api, "pods") == 1
    assert "watch_failed" not in caplog.text


def test_a_server_that_hangs_is_given_up(fake_api: FakeApi, start: Start) -> None:
    fill(fake_api)
    fake_api.hang(match="/pods")
    watch = start(WatchSettings(read=ReadSettings(read_s=0.05), cache=SOON))
    assert watch.wait_until(lambda: watch.health(0.0).kinds["pods"].error is not None, LONG_S)

    fake_api.heal()

    assert watch.wait_synced(LONG_S)


def test_reads_long_lists_page_by_page(fake_api: FakeApi, start: Start) -> None:
    for number in range(7):
        fake_api.put(pod(f"web-1-{number}"))
    watch = start(WatchSettings(read=ReadSettings(page=3), cache=SOON))

    assert watch.wait_synced(LONG_S)

    assert has_pods(watch, *(f"web-1-{number}" for number in range(7)))
    assert lists_asked(fake_api, "pods") == 3


def test_lists_all_anew_from_time_to_time(fake_api: FakeApi, start: Start, clock: Clock) -> None:
    fill(fake_api)
    watch = start()
    assert watch.wait_synced(LONG_S)
    assert watch.wait_until(lambda: watch.health(0.0).kinds["pods"].watches == 1, LONG_S)

    clock.now_s += 1.5 * 900.0  # the longest that a relist may be spread to
    fake_api.down()
    fake_api.up()

    assert watch.wait_until(lambda: watch.health(0.0).kinds["pods"].lists == 2, LONG_S)


def test_does_without_keda(fake_api: FakeApi, start: Start, clock: Clock) -> None:
    fill(fake_api)
    fake_api.without("scaledobjects")
    watch = start()

    assert watch.wait_synced(LONG_S)

    health = watch.health(clock.now_s)
    assert health.ok and health.kinds["scaledobjects"].absent
    assert watches_asked(fake_api, "scaledobjects") == 0


def test_sees_keda(fake_api: FakeApi, start: Start) -> None:
    fill(fake_api)
    fake_api.put(scaled_object(minReplicaCount=3))
    watch = start()
    assert watch.wait_synced(LONG_S)

    state = watch.state()

    assert state is not None
    scaled = state.workloads["shop/web"].scaled_object
    assert scaled is not None and scaled.min_replicas == 3


def test_what_may_not_be_read_but_is_not_needed_makes_nothing_stale(
    fake_api: FakeApi, start: Start, clock: Clock
) -> None:
    fill(fake_api)
    fake_api.forbid("list", "resourcequotas")
    watch = start()
    assert watch.wait_synced(LONG_S)
    assert watch.wait_until(lambda: watch.health(0.0).kinds["resourcequotas"].error is not None, LONG_S)

    health = watch.health(clock.now_s + 100.0)

    assert health.ok
    assert lists_asked(fake_api, "resourcequotas") == 1  # and again in some minutes
    assert "403" in (health.kinds["resourcequotas"].error or "")


def test_what_may_not_be_read_and_is_needed_says_so(fake_api: FakeApi, start: Start, clock: Clock) -> None:
    fill(fake_api)
    fake_api.forbid("watch", "pods")
    watch = start()
    assert watch.wait_until(lambda: watch.health(0.0).kinds["pods"].error is not None, LONG_S)

    assert not watch.health(clock.now_s + 100.0).ok


def test_reads_only_the_namespaces_it_is_given(fake_api: FakeApi, start: Start) -> None:
    fill(fake_api)
    other = pod("elsewhere")
    other["metadata"]["namespace"] = "other"
    hidden = pod("hidden")
    hidden["metadata"]["namespace"] = "hidden"
    fake_api.put(other)
    fake_api.put(hidden)
    watch = start(WatchSettings(namespaces=("shop", "other"), cache=SOON))

    assert watch.wait_synced(LONG_S)

    state = watch.state()
    assert state is not None
    assert set(state.pods) == {"shop/web-1-a", "other/elsewhere"}
    assert not state.sees_all_pods
    paths = {request.path for request in fake_api.requests}
    assert "/api/v1/pods" not in paths and "/api/v1/namespaces/shop/pods" in paths and "/api/v1/nodes" in paths
    assert "/api/v1/namespaces" not in paths  # a Role for two namespaces does not let us list them all


def test_an_odd_object_harms_nobody(fake_api: FakeApi, start: Start) -> None:
    fill(fake_api)
    watch = start()
    assert watch.wait_synced(LONG_S)

    fake_api.put(pod("odd") | {"spec": None, "status": "?"})

    assert watch.wait_until(lambda: has_pods(watch, "odd", "web-1-a"), LONG_S)


def test_stops_while_it_waits(fake_api: FakeApi, start: Start) -> None:
    fill(fake_api)
    watch = start()
    assert watch.wait_synced(LONG_S)

    watch.stop(timeout_s=LONG_S)

    assert not watch.is_running()
