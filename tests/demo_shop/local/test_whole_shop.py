"""The whole shop under its launcher: reachable, kept running, and told apart by its state file."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

pytestmark = pytest.mark.xdist_group("shop-stores")

ROLES = {"gateway", "catalog", "cart", "checkout", "inventory", "payment", "recommendations", "pricing"}


def described(state_file: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(state_file.read_text(encoding="utf-8"))
    return state


def eventually(holds: Callable[[], bool], limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def answers(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:
            return int(answer.status)
    except (OSError, http.client.HTTPException):
        return None


def test_the_front_page_and_the_metrics_answer(shop: dict[str, Any]) -> None:
    gateway = shop["processes"]["gateway-1"]

    assert gateway["url"] == shop["shop"]
    assert answers(shop["shop"] + "/") == 200
    assert answers(gateway["management_url"] + "/metrics") == 200


def test_every_role_and_every_store_has_a_process(shop: dict[str, Any]) -> None:
    roles = {process["role"] for process in shop["processes"].values()}

    assert roles == ROLES | {"postgres", "redis", "etcd"}
    assert {"postgres-1", "postgres-2"} <= set(shop["processes"])


def test_a_killed_role_is_started_again_and_the_state_names_its_new_process(
    shop: dict[str, Any], shop_state_file: Path
) -> None:
    before = described(shop_state_file)["processes"]["pricing-1"]

    os.kill(before["pid"], signal.SIGKILL)

    eventually(lambda: described(shop_state_file)["processes"]["pricing-1"]["pid"] != before["pid"])
    after = described(shop_state_file)["processes"]["pricing-1"]
    assert after["starts"] == before["starts"] + 1
    assert after["url"] == before["url"]
    eventually(lambda: answers(after["management_url"] + "/-/ready") == 200)


def test_a_held_role_stays_down_until_it_is_released(shop: dict[str, Any], shop_state_file: Path) -> None:
    process = described(shop_state_file)["processes"]["recommendations-1"]
    hold = Path(shop["launcher"]["held_dir"]) / "recommendations-1"
    other = described(shop_state_file)["processes"]["payment-1"]

    hold.touch()
    os.kill(process["pid"], signal.SIGKILL)
    os.kill(other["pid"], signal.SIGKILL)
    # The one beside it died at the same moment and is back: the launcher has been round.
    eventually(lambda: described(shop_state_file)["processes"]["payment-1"]["pid"] != other["pid"])
    still = described(shop_state_file)["processes"]["recommendations-1"]["pid"]
    hold.unlink()

    assert still == process["pid"]
    eventually(lambda: described(shop_state_file)["processes"]["recommendations-1"]["pid"] != process["pid"])
    eventually(lambda: answers(process["management_url"] + "/-/ready") == 200)
    eventually(lambda: answers(other["management_url"] + "/-/ready") == 200)


def test_a_killed_redis_is_started_again_with_what_it_kept(shop: dict[str, Any], shop_state_file: Path) -> None:
    before = described(shop_state_file)["processes"]["redis"]
    with redis.Redis.from_url(shop["redis_url"], password=shop["redis_password"], decode_responses=True) as client:
        client.set("kept", "yes")
        # The file is flushed every second; a kill loses nothing that was written to it, a power cut up to a second.

    os.kill(before["pid"], signal.SIGKILL)

    eventually(lambda: described(shop_state_file)["processes"]["redis"]["pid"] != before["pid"])

    def kept() -> bool:
        try:
            with redis.Redis.from_url(
                shop["redis_url"], password=shop["redis_password"], decode_responses=True
            ) as again:
                return again.get("kept") == "yes"
        except redis.RedisError:
            return False

    eventually(kept)
