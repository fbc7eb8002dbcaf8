"""The figures of the operator without a cluster: the real process, stand-ins for Prometheus and the API server."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from chaos.operator_bench.processes import Running, operator
from chaos.shop_bench.figure import Figure, quantile
from chaos.shop_bench.memory import memory_below

T = TypeVar("T", int, float)
Say = Callable[[str], None]
DEFAULT_SIZES = (100, 1000)
#: Ticks of a term that are not counted: the first fill the history, forecasts and statuses settle.
SETTLING_TICKS = 4
#: Ticks are 15 s apart or more: none is missed, and being asked costs the operator next to nothing.
_POLL_S = 5.0
_TICKS = "foresail_ticks_total"
_SERIES_EACH = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """What a figure should be at one size; infinity where nobody asked for it."""

    tick_s: tuple[float, float] = (float("inf"), float("inf"))
    memory_mib: tuple[float, float] = (float("inf"), float("inf"))
    cpu_share: tuple[float, float] = (float("inf"), float("inf"))


LIMITS = {
    100: Limits(memory_mib=(300.0, 200.0), cpu_share=(0.10, 0.03)),
    1000: Limits(tick_s=(8.0, 3.0), memory_mib=(500.0, 350.0)),
    10_000: Limits(tick_s=(60.0, 15.0)),
}
IMAGE_MB = (600.0, 350.0)


@dataclass(slots=True)
class Watched:
    """What was seen of one operator over some ticks."""

    ticks_s: list[float] = field(default_factory=list)
    queries: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_s: float = 0.0
    prometheus_queries: int = 0
    api_requests: dict[str, int] = field(default_factory=dict)
    by_thread_s: dict[str, float] = field(default_factory=dict)


def measure(folder: Path, sizes: Sequence[int], ticks: int, say: Say) -> Iterator[Figure]:
    """One operator after the other, each over a shop of another size. Raises `BenchFailed`."""
    for workloads in sizes:
        say(f"{workloads} workloads: the operator starts")
        with operator(workloads, folder / str(workloads)) as running:
            say(f"{workloads} workloads: {SETTLING_TICKS} ticks to settle, then {ticks} that count")
            watch(running, SETTLING_TICKS)
            yield from figures(workloads, running, watch(running, ticks))


def watch(running: Running, ticks: int) -> Watched:
    """The next `ticks` slow ticks, from the end of one to the end of another."""
    seen = Watched()
    done = running.metrics()[_TICKS]
    began_s, cpu_s, queries = time.monotonic(), running.cpu_s(), running.queries()
    threads_s, requests = running.threads_cpu_s(), running.api_requests()
    while len(seen.ticks_s) < ticks:
        time.sleep(_POLL_S)
        told = running.metrics()
        if told[_TICKS] > done:
            done = told[_TICKS]
            seen.ticks_s.append(told["foresail_last_tick_seconds"])
            seen.queries.append(told["foresail_prometheus_queries"])
    seen.seconds, seen.cpu_s = time.monotonic() - began_s, running.cpu_s() - cpu_s
    seen.prometheus_queries = running.queries() - queries
    seen.by_thread_s = _grown(threads_s, running.threads_cpu_s())
    seen.api_requests = _grown(requests, running.api_requests())
    return seen


def figures(workloads: int, running: Running, seen: Watched) -> Iterator[Figure]:
    limits = LIMITS.get(workloads, Limits())
    at = f"{workloads:,} workloads"
    memory = memory_below(running.pid)
    requests = {name: count for name, count in seen.api_requests.items() if not name.startswith("WATCH")}
    tick = {
        "ticks": len(seen.ticks_s),
        "p50_s": round(quantile(seen.ticks_s, 0.5), 3),
        "cpu_s_per_tick": round(seen.cpu_s / len(seen.ticks_s), 3),
        "series_forecast_per_workload": _SERIES_EACH,
    }
    yield Figure(f"{at}: one tick, p95", quantile(seen.ticks_s, 0.95), "s", *limits.tick_s, detail=tick)
    yield Figure(f"{at}: PromQL queries of a tick, most", max(seen.queries), "", 20.0, 12.0)
    yield Figure(
        *(f"{at}: memory (PSS)", memory.proportional_mib, "MiB", *limits.memory_mib),
        detail={"rss_mib": round(memory.resident_mib, 1), "peak_mib": round(running.peak_mib(), 1)},
    )
    shares = {name: round(cpu_s / seen.seconds, 4) for name, cpu_s in seen.by_thread_s.items()}
    cpu = {"seconds_watched": round(seen.seconds, 1), "by_thread": shares}
    yield Figure(f"{at}: CPU, share of a core", seen.cpu_s / seen.seconds, "", *limits.cpu_share, detail=cpu)
    per_tick = sum(requests.values()) / len(seen.ticks_s)
    yield Figure(f"{at}: API requests per tick beside the Lease", per_tick, "", 2.0, 0.0, detail=requests)


def image_size(archive: Path) -> Figure:
    """Of the operator's image, from the archive that a cluster loads; unknown where there is none."""
    if not archive.is_file():
        missing = {"why": f"{archive} does not exist: `foresail cluster image operator` makes it"}
        return Figure("operator image", None, "MB", *IMAGE_MB, detail=missing)
    return Figure("operator image", archive.stat().st_size / 1e6, "MB", *IMAGE_MB)


def machine() -> dict[str, Any]:
    """What the figures were measured on, and how busy it was."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    total = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), None)
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": names[0] if names else platform.machine(),
        "memory_gib": None if total is None else round(int(total) / 2**20, 1),
        "python": platform.python_version(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def _grown(before: Mapping[str, T], now: Mapping[str, T]) -> dict[str, T]:
    """By how much each number has grown, without those that have not."""
    return {name: value - before.get(name, 0) for name, value in now.items() if value > before.get(name, 0)}


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
