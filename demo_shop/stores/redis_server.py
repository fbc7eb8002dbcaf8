"""Redis: the configuration of one server that keeps carts and caches."""

from __future__ import annotations

from pathlib import Path


def configuration(port: int, folder: Path, password: str, most_memory_mib: int = 64) -> str:
    """redis.conf. Carts carry no expiry shorter than their life, caches do: only what expires may be evicted."""
    return (
        "bind 127.0.0.1\n"
        f"port {port}\n"
        f'requirepass "{password}"\n'
        f'dir "{folder}"\n'
        "daemonize no\n"
        "databases 1\n"
        'save ""\n'
        "appendonly yes\n"
        "appendfsync everysec\n"
        f"maxmemory {most_memory_mib}mb\n"
        "maxmemory-policy volatile-lru\n"
        "tcp-keepalive 30\n"
        "timeout 0\n"
    )
