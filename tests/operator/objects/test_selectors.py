"""Label selectors: what they hold for, and that the API server is asked for the very same pods."""

from __future__ import annotations

from typing import Any

import pytest
from fake_api import FakeApi
from kubernetes import client

from foresail.objects.selectors import LabelIndex, Selector, label_selector

PODS: dict[str, dict[str, str]] = {
    "plain": {"app": "web"},
    "canary": {"app": "web", "track": "canary"},
    "stable": {"app": "web", "track": "stable"},
    "blank": {"app": "web", "track": ""},
    "other": {"app": "cart", "track": "stable"},
}


def selector(**described: Any) -> Selector:
    found = label_selector({"selector": described}, "selector")
    assert found is not None
    return found


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator} | ({"values": list(values)} if values else {})


CASES = [
    pytest.param([expression("track", "In", "stable", "canary")], {"canary", "stable", "other"}, id="in"),
    pytest.param([expression("track", "In", "")], {"blank"}, id="in-blank"),
    pytest.param([expression("track", "NotIn", "canary")], {"plain", "stable", "blank", "other"}, id="not-in"),
    pytest.param([expression("track", "NotIn", "canary", "")], {"plain", "stable", "other"}, id="not-in-blank"),
    pytest.param([expression("track", "Exists")], {"canary", "stable", "blank", "other"}, id="exists"),
    pytest.param([expression("track", "DoesNotExist")], {"plain"}, id="does-not-exist"),
    pytest.param(
        [expression("track", "Exists"), expression("track", "NotIn", "canary")],
        {"stable", "blank", "other"},
        id="both-must-hold",
    ),
]


@pytest.mark.parametrize(("expressions", "names"), CASES)
def test_holds_for_whom_kubernetes_says(expressions: list[dict[str, Any]], names: set[str]) -> None:
    found = selector(matchExpressions=expressions)

    assert {name for name, labels in PODS.items() if found.matches(labels)} == names
    assert set(LabelIndex(PODS.items()).matching(found)) == names


@pytest.mark.parametrize(("expressions", "names"), CASES)
def test_its_query_finds_the_same_pods(fake_api: FakeApi, expressions: list[dict[str, Any]], names: set[str]) -> None:
    for name, labels in PODS.items():
        metadata = {"name": name, "namespace": "shop", "labels": labels}
        fake_api.put({"apiVersion": "v1", "kind": "Pod", "metadata": metadata})
    query = selector(matchLabels={"app": "web"}, matchExpressions=expressions).query

    found = client.CoreV1Api(fake_api.client()).list_namespaced_pod("shop", label_selector=query)

    assert {pod.metadata.name for pod in found.items} == names - {"other"}


def test_pairs_and_expressions_are_said_together() -> None:
    found = selector(matchLabels={"tier": "b", "app": "web"}, matchExpressions=[expression("track", "DoesNotExist")])

    assert found.query == "app=web,tier=b,!track"


@pytest.mark.parametrize(
    "unreadable",
    [
        pytest.param(expression("track", "Resembles", "stable"), id="unknown-operator"),
        pytest.param(expression("track", "In"), id="in-nothing"),
        pytest.param("track", id="no-expression"),
    ],
)
def test_an_expression_that_cannot_be_read_holds_for_nobody(unreadable: Any) -> None:
    """Left out it would match more than was meant."""
    found = selector(matchLabels={"app": "web"}, matchExpressions=[unreadable])

    assert not any(found.matches(labels) for labels in PODS.values())
    assert found.query is None


def test_only_a_selector_without_anything_in_it_is_empty() -> None:
    assert selector().is_empty and selector().query == ""
    assert not selector(matchExpressions=[expression("track", "Exists")]).is_empty
