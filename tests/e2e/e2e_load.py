"""Visitors for the shop, sent from inside the cluster's network, and whether it kept what it promised them."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e_inside import forwarded, site
from e2e_stage import SHOP, Stage
from e2e_waiting import wait_until
from psycopg.conninfo import make_conninfo

from chaos.load.books import Books
from chaos.load.books_database import read_books
from chaos.load.ledger import read_ledgers
from chaos.load.reconcile import Reconciliation, settled

_FORESAIL = Path(sys.executable).with_name("foresail")
#: Orders a second, each of three requests: enough to see every second, little for a tiny shop on two cores.
PROBE_HZ = 1.0
#: Clients wait so long for an order at most, and the load's process for them.
_PATIENCE_S = 90.0


@dataclass(frozen=True, slots=True)
class RunningLoad:
    """Load under way: `foresail load` in the cluster's network."""

    process: subprocess.Popen[str]
    out: Path

    @property
    def ledger(self) -> Path:
        return self.out / "ledger.jsonl"

    @property
    def begun(self) -> bool:
        return self.ledger.exists() and self.ledger.stat().st_size > 0

    def log(self) -> str:
        return (self.out / "load.log").read_text(encoding="utf-8", errors="replace")[-2000:]

    def stop(self) -> None:
        """Ends it early; it still sums up what it saw."""
        for pid in _descendants(self.process.pid):
            if b"foresail\0load\0" in _command_line(pid):
                os.kill(pid, signal.SIGINT)
                return

    def summary(self) -> dict[str, Any]:
        """When all is answered or given up: the JSON of `chaos.load.summary.LoadSummary`."""
        said, _ = self.process.communicate()
        assert self.process.returncode == 0, f"the load failed: {self.log()}"
        summary = json.loads(said)
        assert isinstance(summary, dict)
        return summary


@contextmanager
def load(
    stage: Stage, out: Path, rps: float, duration_s: float, shape: str = "constant", mix: str = "shop", seed: int = 1
) -> Iterator[RunningLoad]:
    """With a probe's orders beside it. Ends with the block, whatever happens in it."""
    out.mkdir(parents=True, exist_ok=True)
    address = stage.kubectl.get(SHOP, "service", "shop-gateway")["spec"]
    host, port = address["clusterIP"], address["ports"][0]["port"]
    with site(stage.cluster, f"{host}:{port}") as gateway:
        wait_until("the shop to answer", lambda: gateway.text("/"))
    command = [
        *(_FORESAIL, "cluster", "exec", "--name", stage.name, "--", _FORESAIL, "load", "--json"),
        *("--probe-hz", PROBE_HZ),
        *("--url", f"http://{host}:{port}", "--allow-host", host, "--out", out, "--seed", seed),
        *("--shape", shape, "--rps", rps, "--duration-s", duration_s, "--mix", mix),
    ]
    with (out / "load.log").open("w", encoding="utf-8") as errors:
        words = [str(word) for word in command]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
    running = RunningLoad(process, out)
    try:
        wait_until("the load's first order", lambda: running.begun or process.poll() is not None)
        assert running.begun, f"the load failed: {running.log()}"
        yield running
    finally:
        running.stop()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def reconciled(stage: Stage, *ledgers: Path) -> Reconciliation:
    """Ledgers against the shop's database, when nothing is under way any more."""
    password = secret(stage, "shop-secrets", "database-password")

    def read() -> Books:
        with ExitStack() as open_ports:
            members = stage.kubectl.items(SHOP, "pods", "demo-shop/database=shop-postgres")
            addresses = [f"{pod['status']['podIP']}:5432" for pod in members if pod["status"].get("podIP")]
            ports = [open_ports.enter_context(forwarded(stage.cluster, address)) for address in addresses]
            address = make_conninfo(
                host=",".join("127.0.0.1" for _ in ports),
                port=",".join(str(port) for port in ports),
                dbname="shop",
                user="shop",
                password=password,
            )
            return read_books(address)

    return settled(read_ledgers(list(ledgers)), read, time.monotonic, time.sleep, 30.0)


def secret(stage: Stage, name: str, key: str) -> str:
    """Of the shop's namespace."""
    return base64.b64decode(stage.kubectl.get(SHOP, "secret", name)["data"][key]).decode()


def _descendants(pid: int) -> Iterator[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    with suppress(OSError):
        for child in map(int, children.read_text().split()):
            yield child
            yield from _descendants(child)


def _command_line(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
