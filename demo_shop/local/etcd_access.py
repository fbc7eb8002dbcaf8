"""etcd's password: whoever may write there decides what PostgreSQL runs, and loopback is open to every local user."""

from __future__ import annotations

from demo_shop.local.loopback import post, status_of


class EtcdRefuses(Exception):
    """etcd did not take its password; the message says at which step."""


def is_healthy(url: str) -> bool:
    return status_of(f"{url}/health") == 200


def require_password(url: str, password: str) -> None:
    """From now on etcd answers only to its user root. Changes nothing when that is so. Raises `EtcdRefuses`."""
    root = {"name": "root", "password": password}
    status, _ = post(f"{url}/v3/auth/authenticate", root)
    if status == 200:
        return
    steps: tuple[tuple[str, dict[str, object]], ...] = (
        ("/v3/auth/user/add", dict(root)),
        ("/v3/auth/role/add", {"name": "root"}),
        ("/v3/auth/user/grant", {"user": "root", "role": "root"}),
        ("/v3/auth/enable", {}),
    )
    for path, body in steps:
        status, answer = post(f"{url}{path}", body)
        if status != 200:
            raise EtcdRefuses(f"etcd refused {path} with status {status}: {answer.get('error', 'no reason given')}")
