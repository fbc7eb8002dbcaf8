"""Who asks, when proxies stand in between: only what trusted proxies say is believed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

from demo_shop.settings import SettingInvalid


class TrustedProxies:
    """The networks that `SHOP_TRUSTED_PROXIES` names. Raises `SettingInvalid` naming the one that is no CIDR."""

    def __init__(self, cidrs: Sequence[str]) -> None:
        self._networks = tuple(_network(cidr) for cidr in cidrs)
        self._trusts = lru_cache(maxsize=1024)(self._looks_up)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, address: str) -> bool:
        return self._trusts(address)

    def client(self, peer: str, forwarded_for: Iterable[str]) -> str:
        """The address of the client: of what is said in X-Forwarded-For, the right-most that no trusted proxy has.

        Whatever stands left of it anybody can have written. What is no address ends the search: then the proxy that
        passed it on is the client.
        """
        client = peer
        hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
        while self._trusts(client) and hops:
            address = _address(hops.pop())
            if address is None:
                return client
            client = str(address)
        return client

    def _looks_up(self, address: str) -> bool:
        parsed = _address(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def _network(cidr: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(cidr, strict=False)
    except ValueError as error:
        raise SettingInvalid(f"SHOP_TRUSTED_PROXIES: {cidr!r} is no network; write 10.0.0.0/8[,fd00::/8]") from error


def _address(hop: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it: bare, with a port, or in brackets; None: it is none."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        parsed = ip_address(hop)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


class ForwardedLayer:
    """Sets the scope's client and scheme to what trusted proxies say in X-Forwarded-For and X-Forwarded-Proto."""

    def __init__(self, app: ASGIApp, trusted: TrustedProxies) -> None:
        self._app, self._trusted = app, trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if scope["type"] == "http" and client and self._trusted.trusts(client[0]):
            told = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
            protocols = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
            address = self._trusted.client(client[0], told)
            # In place: what the router writes into the scope, the layers outside of this one read.
            scope["client"] = (address, client[1] if address == client[0] else 0)
            if len(protocols) == 1 and protocols[0] in (b"http", b"https"):
                scope["scheme"] = protocols[0].decode()
        await self._app(scope, receive, send)
