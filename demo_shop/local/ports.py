"""Free ports of loopback."""

from __future__ import annotations

import socket


class PortTaken(Exception):
    """The port that was asked for is in use; the message names it."""


def free_ports(count: int) -> list[int]:
    """`count` different ports that nobody listened on a moment ago."""
    sockets = []
    try:
        for _ in range(count):
            bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sockets.append(bound)
            bound.bind(("127.0.0.1", 0))
        return [bound.getsockname()[1] for bound in sockets]
    finally:
        for bound in sockets:
            bound.close()


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def shop_port(wanted: int | None, usual: int = 8080) -> int:
    """The port of the first gateway: the one wanted, or the usual one when it is free, or any. Raises `PortTaken`."""
    if wanted is None:
        return usual if is_free(usual) else free_ports(1)[0]
    if wanted == 0:
        return free_ports(1)[0]
    if not is_free(wanted):
        raise PortTaken(f"--port {wanted}: something listens there already; give another, or 0 for any free port")
    return wanted
