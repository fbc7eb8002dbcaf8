"""The processes of one measurement: the stand-ins for a cluster, and the operator as it is run in its image."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_READY_S = 300.0
_END_S = 20.0
_ANSWER_S = 20.0
_USER_HZ = os.sysconf("SC_CLK_TCK")


class BenchFailed(Exception):
    """A process ended, never became ready or gave no answer. Its text names it and where its log is."""


class NoAnswer(BenchFailed):
    """A process listens no more, or has no time to answer."""


@dataclass(frozen=True, slots=True)
class Running:
    """The operator, alone among its stand-ins."""

    pid: int
    port: int
    api: str
    prometheus: str

    def metrics(self) -> dict[str, float]:
        """The operator's own numbers that carry no labels."""
        page = _get(f"http://127.0.0.1:{self.port}/metrics").decode()
        lines = (line.partition(" ") for line in page.splitlines() if not line.startswith("#") and "{" not in line)
        return {name: float(value) for name, _, value in lines}

    def api_requests(self) -> dict[str, int]:
        """All requests so far that were no part of the election, by "VERB plural"."""
        counted = json.loads(_get(f"{self.api}/_requests"))
        return {name: count for name, count in counted.items() if not name.endswith(" leases")}

    def queries(self) -> int:
        return int(json.loads(_get(f"{self.prometheus}/_queries")))

    def cpu_s(self) -> float:
        """CPU time of the process since it began, user and system."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _USER_HZ

    def threads_cpu_s(self) -> dict[str, float]:
        """The same by name of the thread; threads that have ended are left out."""
        found: dict[str, float] = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                name = (task / "comm").read_text(encoding="utf-8").strip()
                fields = (task / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[name] = found.get(name, 0.0) + (int(fields[11]) + int(fields[12])) / _USER_HZ
        return found

    def peak_mib(self) -> float:
        """The most memory that it ever had, pages shared with others included."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024.0 for line in status if line.startswith("VmHWM"))


@contextmanager
def operator(workloads: int, folder: Path) -> Iterator[Running]:
    """A leader over a synthetic shop, ready and past its first tick. Raises `BenchFailed`."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        cluster = stack.enter_context(stand_in("chaos.operator_bench.stand_in_api", workloads, folder))
        prometheus = stack.enter_context(stand_in("chaos.operator_bench.stand_in_prometheus", workloads, folder))
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(_kubeconfig(cluster["api"])), encoding="utf-8")
        port = _free_port()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FORESAIL_")},
            "KUBECONFIG": str(kubeconfig),
            "FORESAIL_PROMETHEUS_URL": prometheus,
            "FORESAIL_HTTP_PORT": str(port),
            "FORESAIL_REPLICA": "bench-a",
        }
        log = folder / "operator.log"
        command = (sys.executable, "-m", "kopf", "run", "-m", "foresail.handlers", "--standalone", "--all-namespaces")
        process = stack.enter_context(_process(command, log, environment))
        running = Running(process.pid, port, cluster["api"], prometheus)
        _wait_for_a_tick(running, process, log)
        yield running


def _wait_for_a_tick(running: Running, process: subprocess.Popen[bytes], log: Path) -> None:
    ends_at_s = time.monotonic() + _READY_S
    while time.monotonic() < ends_at_s:
        if process.poll() is not None:
            raise BenchFailed(f"the operator ended with {process.returncode}: see {log}")
        try:
            if running.metrics().get("foresail_ticks_total", 0.0) >= 1.0:
                return
        except NoAnswer:
            pass  # it does not listen yet
        time.sleep(0.2)
    raise BenchFailed(f"the operator had no tick within {_READY_S:g} s: see {log}")


@contextmanager
def stand_in(module: str, workloads: int, folder: Path) -> Iterator[Any]:
    """The process of a module, and what it said first."""
    name = module.rpartition(".")[2]
    log = folder / f"{name}.log"
    with _process((sys.executable, "-m", module, str(workloads)), log, os.environ) as process:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline() if selector.select(_READY_S) else b""
        if not line:
            raise BenchFailed(f"{name} did not start: see {log}")
        yield json.loads(line)


@contextmanager
def _process(command: tuple[str, ...], log: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Ends with the block. Its standard input is a pipe, so that it can notice when we are gone."""
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**environment, "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _kubeconfig(server: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "bench", "cluster": {"server": server}}],
        "users": [{"name": "bench", "user": {"token": "none"}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "current-context": "bench",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER_S) as answer:
            return bytes(answer.read())
    except OSError as error:
        raise NoAnswer(f"{url} gave no answer within {_ANSWER_S:g} s: {error}") from error
