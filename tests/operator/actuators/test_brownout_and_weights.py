"""Two acts on the way that requests take: the gateways' ceiling, and the weights of a route."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from act_stage import NOW_S, WEB, Stage, decision, row, token_file
from fake_http import FakeHttp, serving

from foresail.actuators.refusals import RefusalReason
from foresail.actuators.targets import Management
from policies.decision import SetBrownout, SetWeights

DIM = SetBrownout(WEB, 0.4, NOW_S + 60.0)


@pytest.fixture
def gateway(stage: Stage, tmp_path: Path) -> Iterator[FakeHttp]:
    with serving() as http:
        stage.knows(Management(port=http.port, brownout=True))
        stage.settings["control_token_file"] = token_file(tmp_path)
        yield http


def test_tells_every_gateway_process(stage: Stage, gateway: FakeHttp) -> None:
    assert stage.cluster().apply(DIM, decision("d-5"), NOW_S)

    assert gateway.lines == ["PUT /-/brownout"] * 4
    assert gateway.asked[0].body == {"ceiling": 0.4, "ttl_s": 60.0, "reason": "foresail d-5"}
    assert gateway.asked[0].authorization == "Bearer secret"


def test_lifts_the_ceiling(stage: Stage, gateway: FakeHttp) -> None:
    assert stage.cluster().apply(SetBrownout(WEB, 1.0, NOW_S + 60.0), decision(), NOW_S)

    assert gateway.lines == ["DELETE /-/brownout"] * 4


def test_names_those_that_did_not_take_it(stage: Stage, gateway: FakeHttp) -> None:
    stage.sets("pods", "web-2", lambda seen: seen["status"].update(podIP="127.0.0.2"))

    assert stage.cluster().apply(DIM, decision(), NOW_S)

    (failed,) = stage.outcomes[-1].partial
    assert failed.reason is RefusalReason.UNREACHABLE and "127.0.0.2" in failed.detail


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param(401, RefusalReason.NO_CREDENTIALS, id="wrong-token"),
        pytest.param(403, RefusalReason.CONTROL_OFF, id="takes-none"),
        pytest.param(404, RefusalReason.CONTROL_OFF, id="no-gateway"),
        pytest.param(422, RefusalReason.INVALID, id="not-understood"),
        pytest.param(500, RefusalReason.SERVER_ERROR, id="broken"),
    ],
)
def test_refused_when_nobody_took_it(stage: Stage, gateway: FakeHttp, status: int, reason: RefusalReason) -> None:
    gateway.answer = lambda asked: (status, {"code": "some"})

    assert not stage.cluster().apply(DIM, decision(), NOW_S)
    assert stage.why is reason


def test_gateways_that_hang_cost_one_time_limit_and_no_more(stage: Stage, gateway: FakeHttp) -> None:
    gateway.hang = True
    stage.settings["pod_timeout_s"] = 0.1

    assert not stage.cluster().apply(DIM, decision(), NOW_S)
    assert stage.why is RefusalReason.NO_POD_ANSWERED


@pytest.mark.parametrize("ceiling", [float("nan"), -0.1, 1.5, float("inf")])
def test_a_ceiling_that_means_nothing_is_refused(stage: Stage, gateway: FakeHttp, ceiling: float) -> None:
    assert not stage.cluster().apply(SetBrownout(WEB, ceiling, NOW_S + 60.0), decision(), NOW_S)
    assert stage.why is RefusalReason.INVALID and gateway.asked == []


def test_only_where_a_policy_names_the_endpoint(stage: Stage) -> None:
    assert not stage.cluster().apply(DIM, decision(), NOW_S)
    assert stage.why is RefusalReason.SWITCHED_OFF


def test_nothing_is_dimmed_without_a_lease(stage: Stage, gateway: FakeHttp) -> None:
    cluster = stage.cluster()
    stage.fence.leads = False

    assert not cluster.apply(DIM, decision(), NOW_S)
    assert stage.why is RefusalReason.NOT_LEADING and gateway.asked == []


# Weights


@pytest.fixture
def route(stage: Stage) -> None:
    """Two Services behind one route, one pod behind the second of them."""
    stage.settings["weights"] = True
    stage.knows(route="web")
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
