"""What the documentation shows can be applied as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from crd_admission import admitted

from foresail.resources.crd import crd
from foresail.resources.mapping import mapped
from foresail.resources.matching import WorkloadRef
from foresail.resources.policy_resource import read_policy
from foresail.resources.reference import reference_markdown

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "resilience-policy.md"
EXAMPLES = sorted((DOCS / "examples").glob("*.yaml"))
SCHEMA = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_admitted_and_read(path):
    written = yaml.safe_load(path.read_text(encoding="utf-8"))

    assert admitted(SCHEMA["properties"]["spec"], written["spec"])[1] == []
    assert [str(problem) for problem in read_policy(written).problems] == []


def test_the_storefront_example_is_followed_as_a_whole():
    written = yaml.safe_load((DOCS / "examples" / "storefront.yaml").read_text(encoding="utf-8"))
    workloads = [
        WorkloadRef("shop", "gateway", "Deployment"),
        WorkloadRef("shop", "cart", "Deployment", {"tier": "service"}),
        WorkloadRef("shop", "postgres", "StatefulSet"),
    ]

    # 27 November 2026, 08:00 UTC: both events lie within a day.
    answer = mapped([read_policy(written)], workloads, 1_795_766_400.0)

    assert answer.problems == ()
    assert set(answer.policies.workloads) == {"shop/gateway", "shop/cart", "shop/postgres"}
    events = answer.policies.workloads["shop/gateway"].events
    assert [event.name for event in events] == ["black-friday", "friday-evening"]


def test_the_page_shows_the_storefront_example():
    assert (DOCS / "examples" / "storefront.yaml").read_text(encoding="utf-8") in PAGE.read_text(encoding="utf-8")


def test_the_page_holds_the_generated_reference():
    page = PAGE.read_text(encoding="utf-8")

    _, _, rest = page.partition("<!-- reference: foresail crd --reference -->\n\n")
    shown, _, _ = rest.partition("\n<!-- end of reference -->")

    assert shown == reference_markdown(), "write it again: foresail crd --reference"
