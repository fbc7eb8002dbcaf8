"""The operator's ceiling, as a value and over HTTP."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from demo_shop.frame.management import require_control_token
from demo_shop.frame.problems import answer_problems
from demo_shop.gateway.brownout import BrownoutCeiling
from demo_shop.gateway.brownout_routes import brownout_routes
from demo_shop.gateway.dimmer import Dimmer


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Management:
    """The management listener with nothing but the brownout routes."""

    def __init__(self, guard: Callable[..., object] | None = None) -> None:
        self.clock, self.ceiling = Clock(), BrownoutCeiling()
        self.dimmer = Dimmer(self.ceiling)
        routes = brownout_routes(self.ceiling, self.dimmer, self.clock)
        app = Starlette(routes=[require_control_token("secret")(route) for route in routes] if guard else routes)
        answer_problems(app)
        self.http = TestClient(app)


def test_without_a_word_from_the_operator_everything_may_be_served() -> None:
    assert BrownoutCeiling().value(0.0) == 1.0
    assert BrownoutCeiling().current(0.0) is None


def test_a_ceiling_is_gone_by_itself() -> None:
    ceiling = BrownoutCeiling()
    ceiling.put(0.5, ttl_s=120.0, reason="flash sale", now_s=10.0)

    assert ceiling.value(129.9) == 0.5
    assert ceiling.value(130.0) == 1.0


def test_a_new_ceiling_replaces_the_old_one_and_its_time() -> None:
    ceiling = BrownoutCeiling()
    ceiling.put(0.2, ttl_s=600.0, reason="first", now_s=0.0)
    ceiling.put(0.7, ttl_s=10.0, reason="second", now_s=5.0)

    assert ceiling.value(5.0) == 0.7
    assert ceiling.value(15.0) == 1.0


@pytest.mark.parametrize(
    ("ceiling", "ttl_s", "field"),
    [
        (-0.1, 60.0, "ceiling"),
        (1.1, 60.0, "ceiling"),
        (float("nan"), 60.0, "ceiling"),
        (0.5, 0.5, "ttl_s"),
        (0.5, 3601.0, "ttl_s"),
        (0.5, float("nan"), "ttl_s"),
    ],
)
def test_what_is_out_of_bounds_is_named(ceiling: float, ttl_s: float, field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}:"):
        BrownoutCeiling().put(ceiling, ttl_s, "", 0.0)


def test_put_sets_get_shows_and_delete_lifts() -> None:
    management = Management()

    put = management.http.put("/-/brownout", json={"ceiling": 0.5, "ttl_s": 120, "reason": "flash sale"})
    management.clock.now_s += 20.0
    seen = management.http.get("/-/brownout")
    lifted = management.http.delete("/-/brownout")

    assert put.json() == {
        "ceiling": 0.5, "expires_in_s": 120.0, "inner": 1.0, "effective": 0.5, "reason": "flash sale",
    }  # fmt: skip
    assert seen.json()["expires_in_s"] == 100.0
    assert seen.headers["cache-control"] == "no-store"
    assert lifted.json() == {
        "ceiling": 1.0, "expires_in_s": None, "inner": 1.0, "effective": 1.0, "reason": None,
    }  # fmt: skip


def test_a_ceiling_holds_for_the_very_next_page() -> None:
    management = Management()

    management.http.put("/-/brownout", json={"ceiling": 0.0, "ttl_s": 60, "reason": "sale"})
    assert not management.dimmer.serves_optional(random.Random(1)).dynamic_pricing
    management.http.delete("/-/brownout")
    assert management.dimmer.serves_optional(random.Random(1)).images


def test_an_expired_ceiling_is_not_shown() -> None:
    management = Management()
    management.http.put("/-/brownout", json={"ceiling": 0.0, "ttl_s": 1, "reason": "short"})
    management.clock.now_s += 1.0

    assert management.http.get("/-/brownout").json()["effective"] == 1.0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ceiling": 1.5, "ttl_s": 60, "reason": "x"}, "ceiling"),
        ({"ceiling": 0.5, "ttl_s": 0, "reason": "x"}, "ttl_s"),
        ({"ceiling": 0.5, "ttl_s": 86400, "reason": "x"}, "ttl_s"),
        ({"ceiling": 0.5, "reason": "x"}, "ttl_s"),
        ({"ceiling": 0.5, "ttl_s": 60}, "reason"),
        ({"ceiling": 0.5, "ttl_s": 60, "reason": ""}, "reason"),
        ({"ceiling": 0.5, "ttl_s": 60, "reason": "x", "celing": 1}, "celing"),
    ],
)
def test_a_body_that_is_wrong_gets_a_422_that_names_the_field(body: dict[str, object], field: str) -> None:
    management = Management()

    answer = management.http.put("/-/brownout", json=body)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert management.ceiling.current(management.clock()) is None


def test_behind_the_control_token_nobody_else_sets_a_ceiling() -> None:
    management = Management(guard=require_control_token)
    body = {"ceiling": 0.0, "ttl_s": 60, "reason": "x"}

    refused = management.http.put("/-/brownout", json=body)
    done = management.http.put("/-/brownout", json=body, headers={"Authorization": "Bearer secret"})

    assert refused.status_code == 401
    assert done.json()["ceiling"] == 0.0
