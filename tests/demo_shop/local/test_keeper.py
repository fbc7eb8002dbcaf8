"""Restarts: how soon, how often, and what stays down."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo_shop.local.keeper import Backoff, Keeper
from demo_shop.local.programs import Program


def test_pauses_double_from_a_fifth_of_a_second_to_five_seconds() -> None:
    backoff = Backoff()

    pauses = [backoff.pause_s(lived_s=1.0) for _ in range(7)]

    # 0.2 · 2^n, and 6.4 is cut to 5.
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_process_that_lived_half_a_minute_is_forgiven() -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.pause_s(lived_s=1.0)

    assert backoff.pause_s(lived_s=29.9) == 3.2
    assert backoff.pause_s(lived_s=30.0) == 0.2
    assert backoff.pause_s(lived_s=1.0) == 0.4


def program(folder: Path, code: str) -> Program:
    return Program(
        name="payment-1",
        role="payment",
        command=(sys.executable, "-S", "-c", code),
        environment={"GREETING": "hello"},
        folder=folder,
        log=folder / "log",
        facts={},
    )


def wait_for_death(keeper: Keeper) -> None:
    deadline = time.monotonic() + 20.0
    while keeper.is_running():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def ended(keeper: Keeper) -> Iterator[Keeper]:
    try:
        yield keeper
    finally:
        keeper.send(signal.SIGKILL)
        wait_for_death(keeper)


def test_starts_again_after_the_pause_and_not_before(tmp_path: Path) -> None:
    with ended(Keeper(program(tmp_path, "raise SystemExit(3)"), None, lambda name: False)) as keeper:
        keeper.start(now_s=100.0)
        wait_for_death(keeper)

        assert not keeper.tick(now_s=101.0)  # notices; starts again at 101.2
        assert not keeper.tick(now_s=101.1)
        assert keeper.tick(now_s=101.2)

        assert keeper.starts == 2
        assert keeper.last_end == "ended with code 3"


def test_tells_a_signal_from_an_exit_code(tmp_path: Path) -> None:
    with ended(Keeper(program(tmp_path, "import time; time.sleep(60)"), None, lambda name: False)) as keeper:
        keeper.start(now_s=0.0)
        keeper.send(signal.SIGKILL)
        wait_for_death(keeper)
        keeper.tick(now_s=1.0)

        assert keeper.last_end == "ended by signal 9"


def test_a_held_process_stays_down_until_it_is_released(tmp_path: Path) -> None:
    held = {"payment-1"}
    with ended(Keeper(program(tmp_path, "pass"), None, held.__contains__)) as keeper:
        keeper.start(now_s=0.0)
        wait_for_death(keeper)
        keeper.tick(now_s=1.0)

        assert not keeper.tick(now_s=50.0)
        held.clear()
        assert keeper.tick(now_s=50.1)


def test_output_goes_to_the_log_and_the_environment_is_the_programs_own(tmp_path: Path) -> None:
    code = "import os; print(sorted(name for name in os.environ if name in ('GREETING', 'HOME')))"
    with ended(Keeper(program(tmp_path, code), None, lambda name: False)) as keeper:
        keeper.start(now_s=0.0)
        wait_for_death(keeper)

        assert keeper.last_words() == "['GREETING']"


def test_an_overlong_log_is_emptied(tmp_path: Path) -> None:
    with ended(Keeper(program(tmp_path, "pass"), None, lambda name: False)) as keeper:
        keeper.start(now_s=0.0)
        wait_for_death(keeper)
        log = tmp_path / "log"
        with open(log, "wb") as file:
            file.truncate(32 * 1024 * 1024)
        keeper.trim_log()
        at_the_limit = log.stat().st_size
        with open(log, "ab") as file:
            file.write(b"x")
        keeper.trim_log()

        assert at_the_limit == 32 * 1024 * 1024
        assert log.stat().st_size == 0
