import asyncio
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo_shop.faults.catalogue import FaultName
from demo_shop.faults.cpu_burn import CpuBurn
from demo_shop.faults.fault import Fault

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

NOW_S = 1_000.0


def burn_of(cores: float) -> Fault:
    return Fault(FaultName.CPU_BURN, cores, 0.0, 600.0, 0, NOW_S)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def is_running(pid: int) -> bool:
    """Neither gone nor a zombie that nobody has collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_gone(pids: list[int]) -> None:
    deadline_s = time.monotonic() + 20
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline_s, f"still running: {pids}"
        time.sleep(0.02)


def test_the_share_of_a_core_is_burnt_by_a_child_and_no_more() -> None:
    burn, before_s = CpuBurn(), children_cpu_s()
    start_s, deadline_s = time.monotonic(), time.monotonic() + 30

    asyncio.run(burn.hold(burn_of(0.3), NOW_S + 1))
    (pid,) = burn.pids
    while cpu_s(pid) < 0.6 and time.monotonic() < deadline_s:
        time.sleep(0.02)
    asyncio.run(burn.end())
    burnt_s, took_s = children_cpu_s() - before_s, time.monotonic() - start_s

    # However busy the machine is: what was waited for, and at most 0.3 of the time and the start of the interpreter.
    assert 0.6 <= burnt_s <= 0.3 * took_s + 0.3
    assert not is_running(pid)


def test_more_than_a_core_takes_more_than_a_process() -> None:
    async def scenario() -> tuple[int, int]:
        burn = CpuBurn()
        await burn.hold(Fault(FaultName.CPU_BURN, 1.5, 100.0, 600.0, 0, NOW_S), NOW_S)  # at the foot of its ramp
        started = len(burn.pids)
        await burn.end()
        return started, len(burn.pids)

    assert asyncio.run(scenario()) == (2, 0)


def test_a_burner_that_was_killed_is_replaced() -> None:
    async def scenario() -> tuple[int, int]:
        burn = CpuBurn()
        await burn.hold(burn_of(0.01), NOW_S)
        (first,) = burn.pids
        os.kill(first, 9)
        wait_until_gone([first])
        await burn.hold(burn_of(0.01), NOW_S + 1)
        (second,) = burn.pids
        await burn.end()
        return first, second

    first, second = asyncio.run(scenario())

    assert first != second


def test_burners_die_with_a_process_that_is_killed() -> None:
    script = (
        "import asyncio, os, signal, sys\n"
        "from demo_shop.faults.cpu_burn import CpuBurn\n"
        "from demo_shop.faults.fault import Fault\n"
        "from demo_shop.faults.catalogue import FaultName\n"
        "burn = CpuBurn()\n"
        "asyncio.run(burn.hold(Fault(FaultName.CPU_BURN, 1.1, 0.0, 60.0, 0, 0.0), 0.0))\n"
        "print(*burn.pids, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)

    pids = [int(pid) for pid in done.stdout.split()]
    assert (done.returncode, len(pids)) == (-9, 2)
    wait_until_gone(pids)
