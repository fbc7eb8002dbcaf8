"""The client of Redis: short timeouts, few connections, and no pretence that a lost answer was a refusal."""

from __future__ import annotations

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from demo_shop.settings import Settings


def open_redis(settings: Settings) -> Redis:
    """A client with a pool; connects when first used. Texts are returned as bytes."""
    return Redis.from_url(
        settings.redis_url,
        password=settings.redis_password,
        socket_connect_timeout=0.5,
        socket_timeout=1.0,
        health_check_interval=15,
        max_connections=32,
        retry=Retry(NoBackoff(), 1),  # one more try finds a new connection after a restart
        client_name="shop",
    )
