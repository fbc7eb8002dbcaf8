"""Brings all roles to life from one interpreter that has loaded what they share: the first start takes one import, not
eight, and the shared pages stay shared.

Run as a process of its own, it waits for the end of its input, so that roles meet a database with a schema, prints
"name pid" for every role and ends. The roles become children of the launcher,
which adopts orphans; whichever dies later is started anew by itself, as a container would be.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from demo_shop.local.account import private_file
from demo_shop.local.ground import Ground
from demo_shop.local.leftovers import MARKER
from demo_shop.local.programs import Program

# What most roles load sooner or later; none of it starts a thread.
SHARED = (
    "demo_shop.frame.database",
    "demo_shop.frame.redis_store",
    "demo_shop.frame.server",
    "demo_shop.frame.upstream",
    "fastapi",
    "psycopg.types.json",
    "redis.asyncio",
)


class Nursery:
    """The process at work, seen from the launcher."""

    def __init__(self, ground: Ground, programs: Sequence[Program]) -> None:
        """Starts it for programs that all run `python -m demo_shop`."""
        wishes = [
            {
                "name": program.name,
                "environment": dict(program.environment),
                "folder": str(program.folder),
                "log": str(program.log),
            }
            for program in programs
        ]
        file = private_file(ground.data_dir / "nursery.json", json.dumps(wishes))
        with open(ground.logs / "nursery.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(file)],
                env={**os.environ, MARKER: ground.marker},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    def go(self) -> None:
        """The roles may come to life now."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def is_done(self) -> bool:
        return self.process.poll() is not None

    def born(self) -> dict[str, int]:
        """Process ids by name, of those that came to life; to be asked once, when it is done."""
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            words = [line.split() for line in lines.read().decode().splitlines()]
        return {name: int(pid) for name, pid in words}


def main(file: Path) -> None:
    shared = importlib.import_module("demo_shop.__main__")
    for module in SHARED:
        importlib.import_module(module)
    wishes: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    sys.stdin.read()
    # What exists by now lives as long as the process: no collection may touch, and so copy, its pages.
    gc.collect()
    gc.freeze()
    for wish in wishes:
        sys.stdout.write(f"{wish['name']} {_bear(wish, shared.main)}\n")
        sys.stdout.flush()


def _bear(wish: Mapping[str, Any], run: Any) -> int:
    """The id of a process that lives on when we end: a grandchild whose parent ends at once."""
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        child = os.fork()
        if child == 0:
            os.close(reading)
            os.close(writing)
            _live(wish, run)
        os.write(writing, str(child).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(parent, 0)
    with os.fdopen(reading, "rb") as answer:
        return int(answer.read())


def _live(wish: Mapping[str, Any], run: Any) -> None:
    """As `python -m demo_shop` would run in that environment, folder and log; never returns."""
    code = 1
    try:
        os.setsid()
        os.umask(0o077)
        os.chdir(wish["folder"])
        log = os.open(wish["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        os.environ.clear()
        os.environ.update(wish["environment"])
        sys.argv = ["demo_shop"]
        run()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001 - the outermost frame of a process: whatever it was, it goes to the log
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
