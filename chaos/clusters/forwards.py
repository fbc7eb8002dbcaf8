"""Forwarders started and ended: loopback on this machine, to an address in another network."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaos.clusters import forwarding
from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.processes import start, wait_until


@dataclass(frozen=True, slots=True)
class ForwarderProcess:
    """A running forwarder; it ends with the network that it connects in, or when closed."""

    port: int
    pid: int

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        wait_until(f"the forwarder of port {self.port} to end", lambda: not _is_ours(self.pid), 10.0, 0.02)

    def __enter__(self) -> ForwarderProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def listen(port: int = 0) -> socket.socket:
    """Raises `ClusterFailed` when the port is taken."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise ClusterFailed(f"port {port}: {error.strerror}; port 0 takes any free one") from None


def forward(listener: socket.socket, namespace: Path, address: str, log: Path) -> ForwarderProcess:
    """Hands the listening socket to a forwarder in the network namespace, and closes it here."""
    host, separator, port = address.rpartition(":")
    if not (host and separator and port.isdigit()):
        listener.close()
        raise ClusterFailed(f"{address!r} is not an address: give IP:PORT of a pod, a service or a machine")
    with listener:
        pid = start(
            [
                *("nsenter", f"--net={namespace}", sys.executable, "-I", "-S"),
                *(forwarding.__file__, listener.fileno(), address),
            ],
            log,
            handed_over=[listener.fileno()],
        )
        return ForwarderProcess(listener.getsockname()[1], pid)


def _is_ours(pid: int) -> bool:
    """Whether the process is still there, and not already another one with its number."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return forwarding.__file__.encode() in command
