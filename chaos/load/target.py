"""Which addresses load may be sent to: this machine, and what somebody allowed by name."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit


class TargetRefused(Exception):
    """Load must not be sent there; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """A shop that load may be sent to."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://[{self.host}]:{self.port}" if ":" in self.host else f"http://{self.host}:{self.port}"


def checked_target(url: str, allowed_hosts: Collection[str] = ()) -> Target:
    """The target behind `url`. Raises `TargetRefused` unless it is this machine's loopback or an allowed host.

    Names are not looked up: `localhost` and loopback addresses are known, every other name must be allowed as written.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TargetRefused(f"{url}: not a URL: {error}") from None
    if parts.username is not None or parts.password is not None:
        raise TargetRefused("the shop's address must not carry a user or a password")
    if parts.scheme != "http" or not host:
        raise TargetRefused(f"{url}: give the shop's address as http://host:port")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise TargetRefused(f"{url}: give the shop's address without a path, as http://host:port")
    if not _is_loopback(host) and host not in {name.strip().lower() for name in allowed_hosts}:
        raise TargetRefused(
            f"{url}: load goes to this machine only; if you may load {host}, say so with --allow-host {host}"
        )
    return Target(host, 80 if port is None else port)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
