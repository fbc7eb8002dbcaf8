"""The weights of a route: what its backends' pods weigh, coarse and rare, and back again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from act_stage import NOW_S, WEB, Stage, decision, row

from foresail.actuators.live_cluster import LiveCluster
from foresail.actuators.refusals import RefusalReason
from foresail.actuators.settings import ActuatorSettings
from foresail.objects import kinds
from foresail.objects.object_watch import ObjectWatch
from foresail.state_directory import StateDirectory
from policies.decision import SetWeights


@pytest.fixture
def route(stage: Stage) -> None:
    """Two Services behind one route, one pod behind the second of them."""
    stage.settings["weights"] = True
    stage.knows(routes=("web",))
    stage.sets("pods", "web-4", lambda seen: seen["metadata"]["labels"].update(slot="b"))
    for name in ("web-1", "web-2", "web-3"):
        stage.sets("pods", name, lambda seen: seen["metadata"]["labels"].update(slot="a"))
    for slot in ("a", "b"):
        stage.api.put(row("v1", "Service", f"web-{slot}", spec={"selector": {"app": "web", "slot": slot}}))
    refs = [{"name": "web-a", "port": 80, "weight": 3}, {"name": "web-b", "port": 80}]
    spec = {"rules": [{"backendRefs": refs}]}
    stage.api.put(row("gateway.networking.k8s.io/v1", "HTTPRoute", "web", spec=spec))


def weigh(now_s: float = NOW_S, **weights: float) -> SetWeights:
    named = {name.replace("_", "-"): weight for name, weight in weights.items()}
    return SetWeights(WEB, named, now_s + 120.0)


def weights(stage: Stage) -> list[Any]:
    return [ref.get("weight") for ref in stage.spec("httproutes", "web")["rules"][0]["backendRefs"]]


def test_a_backend_weighs_what_its_pods_weigh(stage: Stage, route: None) -> None:
    assert stage.cluster().apply(weigh(web_4=0.5), decision(), NOW_S)

    # In hundredths: web-a keeps 3, web-b goes from its default 1 to 0.5.
    assert weights(stage) == [300, 50]


def test_one_slow_pod_of_three_counts_for_a_third(stage: Stage, route: None) -> None:
    stage.cluster().apply(weigh(web_1=0.25), decision(), NOW_S)

    # (0.25 + 1 + 1) / 3 = 0.75, of 300: 225.
    assert weights(stage) == [225, 100]


def test_new_weights_refer_to_what_people_wrote(stage: Stage, route: None) -> None:
    cluster = stage.cluster()
    cluster.apply(weigh(web_4=0.5), decision(), NOW_S)
    cluster.apply(weigh(NOW_S + 10.0, web_4=0.25), decision(), NOW_S + 10.0)

    assert weights(stage) == [300, 25]


@pytest.mark.parametrize("how", ["equal weights", "expiry", "revert"])
def test_the_route_becomes_as_it_was(stage: Stage, route: None, how: str) -> None:
    cluster = stage.cluster()
    cluster.apply(weigh(web_4=0.5), decision(), NOW_S)
    match how:
        case "equal weights":
            cluster.apply(weigh(NOW_S + 30.0, web_4=1.0), decision(), NOW_S + 30.0)
        case "expiry":
            cluster.settle(NOW_S + 120.0)
        case "revert":
            stage.revert_all(NOW_S + 30.0)

    assert weights(stage) == [3, None] and stage.traces() == []


def test_never_more_often_than_every_five_seconds(stage: Stage, route: None) -> None:
    cluster = stage.cluster()
    cluster.apply(weigh(web_4=0.5), decision(), NOW_S)

    assert not cluster.apply(weigh(NOW_S + 4.0, web_4=0.25), decision(), NOW_S + 4.0)
    assert stage.why is RefusalReason.TOO_SOON
    assert cluster.apply(weigh(NOW_S + 5.0, web_4=0.25), decision(), NOW_S + 5.0)


def test_never_all_zero(stage: Stage, route: None) -> None:
    nothing = weigh(web_1=0.0, web_2=0.0, web_3=0.0, web_4=0.0)

    assert not stage.cluster().apply(nothing, decision(), NOW_S)
    assert stage.why is RefusalReason.ALL_ZERO and stage.writes() == []


def test_switched_off_by_default(stage: Stage, route: None) -> None:
    stage.settings["weights"] = False

    assert not stage.cluster().apply(weigh(web_4=0.5), decision(), NOW_S)
    assert stage.why is RefusalReason.SWITCHED_OFF


def test_a_route_that_somebody_rebuilt_is_theirs(stage: Stage, route: None) -> None:
    cluster = stage.cluster()
    cluster.apply(weigh(web_4=0.5), decision(), NOW_S)
    refs = [{"name": "web-b", "weight": 9}]
    stage.sets("httproutes", "web", lambda seen: seen["spec"].update(rules=[{"backendRefs": refs}]))

    cluster.settle(NOW_S + 120.0)

    assert weights(stage) == [9] and stage.traces() == []


def test_a_route_without_a_choice_is_left_alone(stage: Stage, route: None) -> None:
    """All traffic goes to the one backend, whatever its weight."""
    refs = [{"name": "web-b", "port": 80}]
    stage.sets("httproutes", "web", lambda seen: seen["spec"].update(rules=[{"backendRefs": refs}]))

    assert not stage.cluster().apply(weigh(web_4=0.5), decision(), NOW_S)
    assert stage.why is RefusalReason.NO_ROUTE and stage.writes() == []


def test_a_backend_of_another_namespace_is_not_taken_for_one_of_its_name(stage: Stage, route: None) -> None:
    refs = [{"name": "web-a", "port": 80}, {"name": "web-b", "port": 80}, {"name": "web-b", "namespace": "blue"}]
    stage.sets("httproutes", "web", lambda seen: seen["spec"].update(rules=[{"backendRefs": refs}]))

    assert stage.cluster().apply(weigh(web_4=0.5), decision(), NOW_S)
    assert weights(stage) == [100, 50, 100]


def test_every_route_to_the_workload_is_weighed(stage: Stage, route: None) -> None:
    stage.knows(routes=("web", "shop"))
    rules = stage.spec("httproutes", "web")["rules"]
    stage.api.put(row("gateway.networking.k8s.io/v1", "HTTPRoute", "shop", spec={"rules": rules}))

    assert stage.cluster().apply(weigh(web_4=0.5), decision(), NOW_S)

    second = [ref["weight"] for ref in stage.spec("httproutes", "shop")["rules"][0]["backendRefs"]]
    assert weights(stage) == second == [300, 50]


# As the operator finds routes: watched, through the workload's Services


@pytest.fixture
def watch(stage: Stage, route: None) -> Iterator[ObjectWatch]:
    made = ObjectWatch(stage.api.client(), watched=(*kinds.KINDS, kinds.ROUTES))
    made.start()
    assert made.wait_synced(30.0)
    yield made
    made.stop()


def own_labels(stage: Stage, **labels: str) -> None:
    """Services are joined to workloads by the labels of new pods."""
    stage.sets("deployments", "web", lambda seen: seen["spec"]["template"]["metadata"].update(labels=labels))


def test_the_operator_finds_the_route_and_weighs_it(stage: Stage, watch: ObjectWatch) -> None:
    own_labels(stage, app="web", slot="b")
    directory = StateDirectory(watch.state, dict)
    assert watch.wait_until(lambda: (found := directory.find(WEB)) is not None and found.routes == ("web",), 30.0)
    settings = ActuatorSettings(weights=True, api_timeout_s=10.0)
    cluster = LiveCluster(stage.api.client(), directory, stage.fence, settings, stage.outcomes.append)
    stage.opened.append(cluster)

    assert cluster.apply(weigh(web_4=0.5), decision(), NOW_S), stage.why
    assert weights(stage) == [300, 50]

    cluster.settle(NOW_S + 120.0)
    assert weights(stage) == [3, None]


def test_a_workload_that_no_route_leads_to_has_none(stage: Stage, watch: ObjectWatch) -> None:
    own_labels(stage, app="web", slot="c")
    directory = StateDirectory(watch.state, dict)

    assert watch.wait_until(lambda: (found := directory.find(WEB)) is not None and found.routes == (), 30.0)


def test_routes_are_not_asked_for_where_weights_are_switched_off(stage: Stage, route: None) -> None:
    made = ObjectWatch(stage.api.client())
    made.start()
    try:
        assert made.wait_synced(30.0)
        found = StateDirectory(made.state, dict).find(WEB)
        assert found is not None and found.routes == ()
        assert not any("httproutes" in request.path for request in stage.api.requests)
    finally:
        made.stop()
