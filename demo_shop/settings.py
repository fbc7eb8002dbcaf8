"""Settings of one process, read from its environment once at the start; secrets also from files."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit


class SettingInvalid(Exception):
    """An environment variable that cannot be used; the message names it and says what it should be."""


class Role(StrEnum):
    GATEWAY = "gateway"
    CATALOG = "catalog"
    CART = "cart"
    CHECKOUT = "checkout"
    INVENTORY = "inventory"
    PAYMENT = "payment"
    RECOMMENDATIONS = "recommendations"
    PRICING = "pricing"


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where PostgreSQL is: all members; which of them is the primary is found out when connecting."""

    hosts: tuple[tuple[str, int], ...]
    name: str
    user: str
    password: str | None = field(repr=False)
    pool_size: int = 8

    def conninfo(self, target_session_attrs: str) -> dict[str, str | int]:
        """Keyword arguments of `psycopg.connect` for the member that `target_session_attrs` asks for."""
        arguments: dict[str, str | int] = {
            "host": ",".join(host for host, _ in self.hosts),
            "port": ",".join(str(port) for _, port in self.hosts),
            "dbname": self.name,
            "user": self.user,
            "connect_timeout": 2,
            "target_session_attrs": target_session_attrs,
            "application_name": "shop",
            # A member that vanished without a word must not hold a caller for the kernel's minutes.
            "tcp_user_timeout": 3000,
            "keepalives_idle": 2,
            "keepalives_interval": 1,
            "keepalives_count": 3,
        }
        if self.password is not None:
            arguments["password"] = self.password
        return arguments


@dataclass(frozen=True, slots=True)
class Settings:
    """One process of the shop."""

    role: Role
    host: str
    port: int
    management_port: int
    pod: str
    zone: str | None
    database: DatabaseSettings
    redis_url: str
    redis_password: str | None = field(repr=False)
    upstreams: Mapping[Role, tuple[str, ...]]
    session_keys: tuple[str, ...] = field(repr=False)
    control_token: str | None = field(repr=False)
    faults_token: str | None = field(repr=False)
    trusted_proxies: tuple[str, ...]
    rate_limit_rps: float
    rate_limit_burst: float
    most_in_flight: int
    drain_s: float
    log_requests: bool

    @staticmethod
    def from_environment(environment: Mapping[str, str] | None = None) -> Settings:
        """Raises `SettingInvalid` naming the variable."""
        return _Reader(os.environ if environment is None else environment).settings()


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def settings(self) -> Settings:
        role = self._role()
        return Settings(
            role=role,
            host=self._text("SHOP_HOST", "127.0.0.1"),
            port=self._port("SHOP_PORT", 8080),
            management_port=self._port("SHOP_MANAGEMENT_PORT", 9090),
            pod=self._text("SHOP_POD", socket.gethostname()),
            zone=self._environment.get("SHOP_ZONE") or None,
            database=self.database(),
            redis_url=self._text("SHOP_REDIS_URL", "redis://127.0.0.1:6379/0"),
            redis_password=self.secret("SHOP_REDIS_PASSWORD"),
            upstreams={upstream: self._upstream(upstream) for upstream in Role if upstream is not Role.GATEWAY},
            session_keys=self._session_keys(role),
            control_token=self.secret("SHOP_CONTROL_TOKEN"),
            faults_token=self.secret("SHOP_FAULTS_TOKEN"),
            trusted_proxies=tuple(p.strip() for p in self._text("SHOP_TRUSTED_PROXIES", "").split(",") if p.strip()),
            rate_limit_rps=self._number("SHOP_RATE_LIMIT_RPS", 50.0),
            rate_limit_burst=self._number("SHOP_RATE_LIMIT_BURST", 100.0),
            most_in_flight=int(self._number("SHOP_MOST_IN_FLIGHT", 64.0)),
            drain_s=self._number("SHOP_DRAIN_S", 0.0),
            log_requests=self._text("SHOP_LOG_REQUESTS", "on") == "on",
        )

    def database(self) -> DatabaseSettings:
        return DatabaseSettings(
            hosts=self._hosts("SHOP_DATABASE_HOSTS", "127.0.0.1:5432"),
            name=self._text("SHOP_DATABASE_NAME", "shop"),
            user=self._text("SHOP_DATABASE_USER", "shop"),
            password=self.secret("SHOP_DATABASE_PASSWORD"),
            pool_size=int(self._number("SHOP_DATABASE_POOL_SIZE", 8.0)),
        )

    def secret(self, name: str) -> str | None:
        """The secret in NAME, or in the file that NAME_FILE names."""
        file = self._environment.get(f"{name}_FILE")
        if not file:
            return self._environment.get(name) or None
        try:
            return Path(file).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            raise SettingInvalid(f"{name}_FILE: {file} cannot be read ({error}): mount the secret there") from error

    def _role(self) -> Role:
        name = self._environment.get("SHOP_ROLE", "")
        try:
            return Role(name)
        except ValueError:
            raise SettingInvalid(f"SHOP_ROLE: {name!r} is no role; use one of {', '.join(Role)}") from None

    def _session_keys(self, role: Role) -> tuple[str, ...]:
        """Signing keys of sessions, the newest first."""
        keys = tuple(key.strip() for key in (self.secret("SHOP_SESSION_KEY") or "").split(",") if key.strip())
        if role is Role.GATEWAY and (not keys or any(len(key) < 32 for key in keys)):
            raise SettingInvalid("SHOP_SESSION_KEY: the gateway signs sessions with it; give at least 32 characters")
        return keys

    def _upstream(self, role: Role) -> tuple[str, ...]:
        name = f"SHOP_UPSTREAM_{role.name}"
        addresses = tuple(a.strip().rstrip("/") for a in self._text(name, f"http://{role.value}:8080").split(","))
        for address in addresses:
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise SettingInvalid(f"{name}: {address!r} is no address; write http://host:port[,http://host:port]")
        return addresses

    def _hosts(self, name: str, default: str) -> tuple[tuple[str, int], ...]:
        hosts = []
        for part in self._text(name, default).split(","):
            host, _, port = part.strip().rpartition(":")
            if not host or not port.isdigit():
                raise SettingInvalid(f"{name}: {part!r} is not host:port; write host:port[,host:port]")
            hosts.append((host, int(port)))
        return tuple(hosts)

    def _text(self, name: str, default: str) -> str:
        return self._environment.get(name) or default

    def _number(self, name: str, default: float) -> float:
        text = self._text(name, str(default))
        try:
            value = float(text)
        except ValueError:
            raise SettingInvalid(f"{name}: {text!r} is not a number") from None
        if not 0.0 <= value < float("inf"):
            raise SettingInvalid(f"{name}: {text} must be 0 or more")
        return value

    def _port(self, name: str, default: int) -> int:
        port = self._number(name, float(default))
        if not port.is_integer() or not 0 <= port <= 65535:
            raise SettingInvalid(f"{name}: {port:g} is not a port (0 to 65535)")
        return int(port)


def database_from_environment(environment: Mapping[str, str] | None = None) -> DatabaseSettings:
    """Only where PostgreSQL is, for migrations and the seed."""
    return _Reader(os.environ if environment is None else environment).database()
