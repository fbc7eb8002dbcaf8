"""state.json: how tests and tools find the processes of a running shop. It holds secrets: only its owner reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from demo_shop.local.account import private_file
from demo_shop.local.credentials import Credentials
from demo_shop.local.keeper import Keeper
from demo_shop.local.store_plan import StorePlan
from demo_shop.stores.patroni import DATABASE, OWNER


class StateUnreadable(Exception):
    """No shop is described there; the message names the file."""


def described(
    shop: str | None,
    plan: StorePlan,
    credentials: Credentials,
    keepers: Iterable[Keeper],
    launcher: Mapping[str, str | int],
    synchronous_standby: bool,
    seeded: bool,
    with_faults: bool,
) -> dict[str, object]:
    """The whole shop as a JSON object. `shop` is None when only the stores run."""
    return {
        "shop": shop,
        "control_token": credentials.control_token,
        "faults_token": credentials.faults_token if with_faults else None,
        "database": {
            "hosts": plan.database_hosts,
            "name": DATABASE,
            "user": OWNER,
            "password": credentials.owner,
            "superuser_password": credentials.superuser,
        },
        "redis_url": plan.redis_url,
        "redis_password": credentials.redis,
        "patroni": {"user": "patroni", "password": credentials.patroni},
        "synchronous_standby": synchronous_standby,
        "seeded": seeded,
        "launcher": dict(launcher),
        "processes": {
            keeper.program.name: {
                "pid": keeper.pid,
                "role": keeper.program.role,
                "starts": keeper.starts,
                "log": str(keeper.program.log),
                **keeper.program.facts,
            }
            for keeper in keepers
        },
    }


def write(file: Path, state: Mapping[str, object]) -> None:
    private_file(file, json.dumps(state, indent=1) + "\n")


def read(file: Path) -> dict[str, Any]:
    """Raises `StateUnreadable`."""
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StateUnreadable(f"--state {file}: there is no such file; is the shop running?") from None
    except (OSError, ValueError) as error:
        raise StateUnreadable(f"--state {file}: cannot be read ({error})") from error
    if not isinstance(state, dict) or "launcher" not in state:
        raise StateUnreadable(
            f"--state {file}: not the state of a shop; it is the file that --state named at its start"
        )
    return state
