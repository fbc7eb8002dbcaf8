from __future__ import annotations

import asyncio
from typing import Any

import pytest


def checks_of(frame: Any) -> tuple[bool, dict[str, bool | None]]:
    """Whether the gateway is ready after one look at everything, and what each check found."""
    asyncio.run(frame.health.look())
    readiness = frame.health.readiness(frame.clock())
    return readiness.ready, {check.name: check.ok for check in readiness.checks}


def test_a_gateway_with_a_catalogue_is_ready(frame: Any, gateway: Any) -> None:
    assert checks_of(frame) == (True, {"catalog": True, "cart": True, "checkout": True})


def test_a_gateway_without_a_catalogue_is_not(frame: Any, gateway: Any, fake_shop: Any) -> None:
    fake_shop.away = {"catalog"}

    assert checks_of(frame) == (False, {"catalog": False, "cart": True, "checkout": True})


@pytest.mark.parametrize("role", ["cart", "checkout"])
def test_browsing_goes_on_without_carts_and_orders(frame: Any, gateway: Any, fake_shop: Any, role: str) -> None:
    fake_shop.away = {role}

    ready, found = checks_of(frame)

    assert ready
    assert found == {"catalog": True, "cart": True, "checkout": True, role: False}


def test_a_service_that_restarts_takes_no_gateway_out(frame: Any, gateway: Any, fake_shop: Any) -> None:
    checks_of(frame)
    fake_shop.away = {"catalog"}

    frame.ahead_s += 4.0
    soon, _ = checks_of(frame)
    frame.ahead_s += 4.0
    later, _ = checks_of(frame)

    assert soon
    assert not later
