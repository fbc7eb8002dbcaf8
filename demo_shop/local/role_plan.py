"""A process per role and zone, and what each is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from demo_shop.local.credentials import Credentials
from demo_shop.local.ground import Ground
from demo_shop.local.leftovers import MARKER
from demo_shop.local.ports import free_ports
from demo_shop.local.programs import Program
from demo_shop.settings import Role

ZONES = ("a", "b")


@dataclass(frozen=True, slots=True)
class _Seat:
    """One process's place: which role, in which zone, on which ports."""

    role: Role
    number: int
    port: int
    management_port: int

    @property
    def name(self) -> str:
        return f"{self.role.value}-{self.number}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def plan_roles(
    ground: Ground,
    credentials: Credentials,
    stores: Mapping[str, str],
    zones: int,
    first_gateway_port: int,
    with_faults: bool,
) -> tuple[Program, ...]:
    """One process of every role in every zone, so that each zone is a whole shop; the first is the first gateway."""
    seats = _seats(zones, first_gateway_port)
    common = {
        **_inherited(os.environ),
        **stores,
        **_upstreams(seats),
        "SHOP_HOST": "127.0.0.1",
        "SHOP_CONTROL_TOKEN": credentials.control_token,
        MARKER: ground.marker,
    }
    if with_faults:
        common["SHOP_FAULTS_TOKEN"] = credentials.faults_token
    return tuple(_program(ground, seat, common, credentials) for seat in seats)


def _seats(zones: int, first_gateway_port: int) -> list[_Seat]:
    places = [(role, number) for number in range(1, zones + 1) for role in Role]
    ports = free_ports(2 * len(places))
    seats = [
        _Seat(role, number, port=ports[2 * index], management_port=ports[2 * index + 1])
        for index, (role, number) in enumerate(places)
    ]
    gateways = [seat for seat in seats if seat.role is Role.GATEWAY]
    others = [seat for seat in seats if seat.role is not Role.GATEWAY]
    first, *more = gateways
    return [_Seat(Role.GATEWAY, first.number, first_gateway_port, first.management_port), *more, *others]


def _upstreams(seats: Sequence[_Seat]) -> dict[str, str]:
    return {
        f"SHOP_UPSTREAM_{role.name}": ",".join(seat.url for seat in seats if seat.role is role)
        for role in Role
        if role is not Role.GATEWAY
    }


def _inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Ours, less what would set a role up differently; SHOP_LOG_… and SHOP_RATE_… may be tuned from outside."""
    tunable = ("SHOP_LOG_", "SHOP_RATE_", "SHOP_MOST_", "SHOP_DRAIN_", "SHOP_DATABASE_POOL_SIZE")
    return {
        name: value for name, value in environment.items() if not name.startswith("SHOP_") or name.startswith(tunable)
    }


def _program(ground: Ground, seat: _Seat, common: Mapping[str, str], credentials: Credentials) -> Program:
    environment = {
        **common,
        "SHOP_ROLE": seat.role.value,
        "SHOP_PORT": str(seat.port),
        "SHOP_MANAGEMENT_PORT": str(seat.management_port),
        "SHOP_POD": seat.name,
        "SHOP_ZONE": ZONES[seat.number - 1],
    }
    if seat.role is Role.GATEWAY:
        environment["SHOP_SESSION_KEY"] = credentials.session_key
        # A load generator here speaks for many people, each with a limit of their own.
        environment["SHOP_TRUSTED_PROXIES"] = "127.0.0.1/32"
    return Program(
        name=seat.name,
        role=seat.role.value,
        command=(sys.executable, "-m", "demo_shop"),
        environment=environment,
        folder=ground.data_dir,
        log=ground.logs / f"{seat.name}.log",
        facts={
            "url": seat.url,
            "management_url": f"http://127.0.0.1:{seat.management_port}",
            "zone": ZONES[seat.number - 1],
        },
    )
