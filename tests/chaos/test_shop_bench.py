import os
import subprocess
import sys
import threading

import pytest
from typer.testing import CliRunner

from chaos.local_shop import ShopFailed, wait_for
from chaos.shop_bench.figure import Figure, quantile
from chaos.shop_bench.memory import descendants, memory_below
from chaos.shop_bench.writes import Writer
from foresail.cli import app


@pytest.mark.parametrize(("value", "verdict"), [(5.0, "aim"), (10.0, "aim"), (12.0, "reached"), (21.0, "missed")])
def test_a_figure_that_should_be_small_is_held_against_both_limits(value: float, verdict: str) -> None:
    assert Figure("gap", value, "s", at_least=20.0, aim=10.0).verdict == verdict


@pytest.mark.parametrize(("value", "verdict"), [(200.0, "aim"), (100.0, "reached"), (59.0, "missed")])
def test_a_figure_that_should_be_large_is_held_against_both_limits(value: float, verdict: str) -> None:
    assert Figure("rate", value, "1/s", at_least=60.0, aim=150.0, smaller_is_better=False).verdict == verdict


def test_what_was_not_measured_is_unknown() -> None:
    assert Figure("gap", None, "s", at_least=20.0, aim=10.0).verdict == "unknown"


def test_the_p95_of_few_values_is_the_largest() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.95) == 3.0
    assert quantile([float(i) for i in range(100)], 0.95) == 95.0
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


def test_the_longest_gap_counts_from_the_last_commit_before() -> None:
    # Commits at 0, 1, 2, then none until 7, then 8: whoever looks from 2.5 on sees the gap from 2 to 7.
    writer = Writer({}, committed=[(0.0, 1), (1.0, 2), (2.0, 3), (7.0, 4), (8.0, 5)])
    assert writer.longest_gap_s(after_s=2.5) == 5.0
    assert writer.longest_gap_s(after_s=7.5) == 1.0
    assert writer.longest_gap_s(after_s=9.0) == float("inf"), "nothing was written any more"


def test_memory_counts_children_and_their_children() -> None:
    grandchild = "import time; print(1, flush=True); time.sleep(60)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    process = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        below = descendants(process.pid)
        assert len(below) == 1
        memory = memory_below(process.pid)
        assert 5.0 < memory.proportional_mib <= memory.resident_mib < 200.0
    finally:
        for pid in [*descendants(process.pid), process.pid]:
            os.kill(pid, 9)
        process.communicate()


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(ShopFailed, match=r"waited 0\.05 s for a primary"):
        wait_for("a primary", lambda: None, 0.05, pause_s=0.01)


def test_waiting_returns_what_was_found() -> None:
    there = threading.Event()
    threading.Timer(0.05, there.set).start()
    assert wait_for("it", lambda: "found" if there.is_set() else None, 10.0, pause_s=0.01) == "found"


def test_an_unknown_part_of_the_benchmark_is_named() -> None:
    done = CliRunner().invoke(app, ["bench-shop", "--parts", "page,tills"])
    assert done.exit_code == 2
    assert "tills" in done.output and "switchover" in done.output
