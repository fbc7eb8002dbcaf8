"""The bundled shop as plain processes on this machine: started, found, hurt and stopped by its own launcher."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

T = TypeVar("T")

START_LIMIT_S = 180.0
STOP_LIMIT_S = 60.0


class ShopFailed(Exception):
    """The shop did not start, or did not become what was waited for; the message says which and where to look."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A process that was killed."""

    name: str
    pid: int
    at_s: float  # time.monotonic()


@dataclass(frozen=True, slots=True)
class LocalShop:
    """A running shop, known by the state file that its launcher keeps true."""

    state_file: Path
    started_within_s: float | None = None

    def state(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.state_file.read_text(encoding="utf-8")))

    @property
    def url(self) -> str:
        return str(self.state()["shop"])

    @property
    def launcher_pid(self) -> int:
        return int(self.state()["launcher"]["pid"])

    def names(self, *roles: str) -> list[str]:
        """The processes of these roles; of all roles when none is named."""
        return [name for name, facts in self.state()["processes"].items() if not roles or facts["role"] in roles]

    def dsn(self, **more: str | int) -> dict[str, str | int]:
        """Keyword arguments of `psycopg.connect` for the member that takes writes."""
        database = self.state()["database"]
        hosts = [host.rpartition(":") for host in str(database["hosts"]).split(",")]
        return {
            "host": ",".join(host for host, _, _ in hosts),
            "port": ",".join(port for _, _, port in hosts),
            "dbname": database["name"],
            "user": database["user"],
            "password": database["password"],
            "target_session_attrs": "read-write",
            "connect_timeout": 2,
            **more,
        }

    def kill(self, name: str) -> Gone:
        """SIGKILL to one process; its launcher starts it anew."""
        pid = int(self.state()["processes"][name]["pid"])
        os.kill(pid, signal.SIGKILL)
        return Gone(name, pid, time.monotonic())

    def kill_postmaster(self, name: str) -> Gone:
        """SIGKILL to PostgreSQL itself, while the Patroni that minds it stays."""
        data_dir = Path(self.state()["processes"][name]["data_dir"])
        pid = int((data_dir / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        os.kill(pid, signal.SIGKILL)
        return Gone(name, pid, time.monotonic())

    def lose_member(self, name: str) -> Gone:
        """A whole member at once, Patroni and PostgreSQL, held down until `bring_back`."""
        self._launcher("hold", name)
        gone = self.kill(name)
        self.kill_postmaster(name)
        return gone

    def bring_back(self, name: str) -> None:
        self._launcher("release", name)

    def came_back(self, gone: Gone) -> bool:
        return int(self.state()["processes"][gone.name]["pid"]) not in (0, gone.pid)

    def members(self) -> dict[str, str]:
        """Role of each PostgreSQL member as Patroni sees it: leader, sync_standby or replica; empty when unknown."""
        for name in self.names("postgres"):
            try:
                cluster = self._patroni(name, "GET", "/cluster")
            except (OSError, ValueError):
                continue
            return {
                m["name"]: m["role"] for m in cluster.get("members", []) if m.get("state") in ("running", "streaming")
            }
        return {}

    def primary(self) -> str:
        """Raises `ShopFailed` when there is none within half a minute."""
        return wait_for("a primary", lambda: _first_with(self.members(), "leader"), 30.0)

    def standby(self, limit_s: float = 60.0) -> str:
        """The member in step with the primary. Raises `ShopFailed`."""
        return wait_for("a synchronous standby", lambda: _first_with(self.members(), "sync_standby"), limit_s)

    def switch_over(self) -> tuple[str, str]:
        """Plans nothing, does it now: the standby becomes primary. Returns (old, new)."""
        old, new = self.primary(), self.standby()
        self._patroni(old, "POST", "/switchover", {"leader": old, "candidate": new})
        return old, new

    def settled(self, limit_s: float = 90.0) -> None:
        """Waits until every process is there, a standby is in step, and the first page is served."""
        self.standby(limit_s)
        wait_for("the first page", lambda: _serves(self.url), limit_s)

    def _patroni(self, name: str, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        state = self.state()
        login = state["patroni"]
        token = b64encode(f"{login['user']}:{login['password']}".encode()).decode()
        request = urllib.request.Request(
            state["processes"][name]["patroni_url"] + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Basic {token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30.0 if body else 2.0) as answer:
            text = answer.read().decode()
        return cast("dict[str, Any]", json.loads(text)) if text.startswith("{") else {"said": text}

    def _launcher(self, verb: str, name: str) -> None:
        command = [sys.executable, "-m", "demo_shop.local", verb, "--state", str(self.state_file), name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60.0, check=False)
        if done.returncode != 0:
            raise ShopFailed(f"{verb} {name}: {done.stderr.strip() or done.stdout.strip()}")


@contextmanager
def local_shop(folder: Path, *, zones: int = 1, faults: bool = False) -> Iterator[LocalShop]:
    """A shop of its own in `folder`, ready to sell; stopped and gone afterwards. Raises `ShopFailed`."""
    folder.mkdir(parents=True, exist_ok=True)
    state_file, log_file = folder / "state.json", folder / "launcher.log"
    state_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "demo_shop.local", "--state", str(state_file), "--port", "0"]
    command += ["--zones", str(zones), *(["--faults"] if faults else [])]
    begun_s = time.monotonic()
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_for("the shop", lambda: _is_up(process, state_file, log_file), START_LIMIT_S)
        yield LocalShop(state_file, time.monotonic() - begun_s)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(what: str, found: Callable[[], T | None], limit_s: float, pause_s: float = 0.1) -> T:
    """What `found` returns once it is no longer None or False. Raises `ShopFailed`."""
    until_s = time.monotonic() + limit_s
    while time.monotonic() < until_s:
        value = found()
        if value is not None and value is not False:
            return value
        time.sleep(pause_s)
    raise ShopFailed(f"waited {limit_s:g} s for {what} in vain")


def _is_up(process: subprocess.Popen[bytes], state_file: Path, log_file: Path) -> bool:
    if process.poll() is not None:
        said = log_file.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise ShopFailed(f"the shop did not start:\n{said}")
    return state_file.is_file()


def _serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5.0) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _first_with(members: dict[str, str], role: str) -> str | None:
    return next((name for name, found in members.items() if found == role), None)
