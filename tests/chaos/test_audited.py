"""Requests of an account, read from an audit log."""

import json
from datetime import UTC, datetime

from chaos.operator_bench.audited import requests, without_lease

ACCOUNT = "system:serviceaccount:foresail:foresail"


def line(at_s: float, verb: str, resource: str, *, pod: str = "a", audit: str = "", **rest: object) -> str:
    moment = datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    user = {"username": ACCOUNT, "extra": {"authentication.kubernetes.io/pod-name": [pod]}}
    body = {"auditID": audit or f"{at_s}{verb}{resource}{pod}", "verb": verb, "user": user}
    return json.dumps({**body, "requestReceivedTimestamp": moment, "objectRef": {"resource": resource}, **rest})


def test_requests_are_counted_by_pod_within_the_time() -> None:
    log = [
        line(99.9, "get", "leases"),
        line(100.0, "get", "leases"),
        line(104.0, "update", "leases", pod="b"),
        line(108.0, "patch", "horizontalpodautoscalers"),
        line(110.0, "get", "leases"),
    ]

    found = requests(log, ACCOUNT, 100.0, 110.0)

    assert found == {"a": {"get leases": 1, "patch horizontalpodautoscalers": 1}, "b": {"update leases": 1}}
    assert without_lease(found["a"]) == {"patch horizontalpodautoscalers": 1}


def test_a_watch_is_one_request_though_it_is_told_of_twice() -> None:
    log = [line(101.0, "watch", "pods", audit="x"), line(101.0, "watch", "pods", audit="x")]

    assert requests(log, ACCOUNT, 100.0, 110.0) == {"a": {"watch pods": 1}}


def test_others_and_half_lines_are_passed_over() -> None:
    other = line(101.0, "list", "pods", user={"username": "system:serviceaccount:shop:postgres"})

    assert requests([other, "", '{"auditID": "y"', "[]"], ACCOUNT, 100.0, 110.0) == {}


def test_subresources_are_told_apart() -> None:
    scale = line(101.0, "patch", "", objectRef={"resource": "deployments", "subresource": "scale"})

    assert requests([scale], ACCOUNT, 100.0, 110.0) == {"a": {"patch deployments/scale": 1}}
