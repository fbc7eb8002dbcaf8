"""How often one client may ask."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_network

from demo_shop.settings import SettingInvalid


@dataclass(frozen=True, slots=True)
class RateLimitSettings:
    """Per client: `rate_rps` for long (0: no limit), `burst` at once."""

    rate_rps: float = 50.0
    burst: float = 100.0
    most_clients: int = 10_000


class RateLimiter:
    """A token bucket per client, kept as one number: when the bucket will be full again (the GCRA form).

    Clients beyond `most_clients` push out whoever has not asked for longest; O(1) a request. A burst below 1 raises
    `SettingInvalid`.
    """

    def __init__(self, settings: RateLimitSettings | None = None) -> None:
        self.settings = settings or RateLimitSettings()
        if self.settings.rate_rps > 0.0 and self.settings.burst < 1.0:
            raise SettingInvalid("SHOP_RATE_LIMIT_BURST: give 1 or more, or nobody is ever served")
        self.refused = 0
        self._full_at_s: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at_s)

    def wait_s(self, client: str, now_s: float) -> float:
        """Takes a token and returns 0, or, without one left, the seconds until there is one."""
        rate_rps = self.settings.rate_rps
        if rate_rps <= 0.0:
            return 0.0
        buckets = self._full_at_s
        full_at_s = max(buckets.get(client, now_s), now_s) + 1.0 / rate_rps
        wait_s = full_at_s - now_s - self.settings.burst / rate_rps
        if wait_s > 1e-9:
            self.refused += 1
            buckets.move_to_end(client)
            return wait_s
        buckets[client] = full_at_s
        buckets.move_to_end(client)
        if len(buckets) > self.settings.most_clients:
            buckets.popitem(last=False)
        return 0.0


@lru_cache(maxsize=4096)
def client_key(address: str) -> str:
    """Who counts as one client: an IPv4 address, or the /64 network of an IPv6 address, which one household owns."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address[:64]
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed) >> 64 << 64, 64)))
