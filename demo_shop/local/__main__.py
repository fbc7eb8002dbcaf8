"""Runs the whole shop on this machine; for a running one there are the commands status, stop, hold and release."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from demo_shop.local import state
from demo_shop.local.account import NoAccount
from demo_shop.local.credentials import CredentialsUnreadable
from demo_shop.local.etcd_access import EtcdRefuses
from demo_shop.local.ground import FolderUnusable
from demo_shop.local.household import StartFailed
from demo_shop.local.launcher import Options, run
from demo_shop.local.ports import PortTaken
from demo_shop.local.programs import ProgramsMissing, safe_name

REFUSALS = (
    NoAccount,
    CredentialsUnreadable,
    EtcdRefuses,
    FolderUnusable,
    StartFailed,
    PortTaken,
    ProgramsMissing,
    state.StateUnreadable,
)


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    commands = {"status": status, "stop": stop, "hold": hold, "release": release}
    try:
        if words and words[0] in commands:
            return commands[words[0]](words[1:])
        return start(words)
    except REFUSALS as error:
        sys.stderr.write(f"shop: {error}\n")
        return 1


def start(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m demo_shop.local", description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="keep the data there; without it a temporary folder is used")
    parser.add_argument("--zones", type=int, choices=(1, 2), default=1, help="processes per role (default 1)")
    parser.add_argument("--port", type=_port, help="of the shop; 0: any free one (default: 8080 when that is free)")
    parser.add_argument("--faults", action="store_true", help="let faults be injected by whoever holds the token")
    parser.add_argument("--state", type=Path, help="where to write what runs where (default: in the data folder)")
    parser.add_argument("--without-roles", action="store_true", help="only the stores, with schema and catalogue")
    parser.add_argument("--products", type=_count, default=10_000, help="in the catalogue (default 10000; 0: empty)")
    options = parser.parse_args(words)
    began_s = time.monotonic()

    def say(sentence: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began_s:6.1f} s  {sentence}\n")
        sys.stdout.flush()

    run(
        Options(
            data_dir=options.data_dir,
            zones=options.zones,
            port=options.port,
            with_faults=options.faults,
            state_file=None if options.state is None else options.state.absolute(),
            with_roles=not options.without_roles,
            products=options.products,
        ),
        say,
    )
    return 0


def status(words: Sequence[str]) -> int:
    """0 when every process runs, 3 when some do not."""
    shop = state.read(_state_argument("status", words).state)
    lines = [f"shop      {shop['shop'] or 'stores only'}"]
    dead = 0
    for name, process in shop["processes"].items():
        alive = _is_alive(process["pid"])
        dead += not alive
        lines.append(
            f"{name:18} {'runs' if alive else 'DOWN'}  process {process['pid']}  started {process['starts']} times"
        )
    lines.append(f"synchronous standby: {'yes' if shop['synchronous_standby'] else 'no'}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 3 if dead else 0


def stop(words: Sequence[str]) -> int:
    """0 when the shop is gone."""
    launcher = state.read(_state_argument("stop", words).state)["launcher"]["pid"]
    if not _is_alive(launcher):
        sys.stdout.write("the shop does not run any more\n")
        return 0
    os.kill(launcher, signal.SIGTERM)
    deadline = time.monotonic() + 60.0
    while _is_alive(launcher):
        if time.monotonic() >= deadline:
            sys.stderr.write(f"shop: process {launcher} has not ended within 60 s\n")
            return 1
        time.sleep(0.1)
    return 0


def hold(words: Sequence[str]) -> int:
    """From now on the named process is not started again when it ends."""
    _hold_file("hold", words).touch(mode=0o600)
    return 0


def release(words: Sequence[str]) -> int:
    _hold_file("release", words).unlink(missing_ok=True)
    return 0


def _hold_file(command: str, words: Sequence[str]) -> Path:
    options = _state_argument(command, words, with_name=True)
    shop = state.read(options.state)
    if options.name not in shop["processes"]:
        raise state.StateUnreadable(f"{options.name}: no such process; there are {', '.join(shop['processes'])}")
    return Path(shop["launcher"]["held_dir"]) / safe_name(options.name)


def _state_argument(command: str, words: Sequence[str], with_name: bool = False) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m demo_shop.local {command}")
    parser.add_argument("--state", type=Path, required=True, help="the state file of the running shop")
    if with_name:
        parser.add_argument("name", help="a process as the state file names it, such as postgres-1")
    return parser.parse_args(words)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    status_file = Path(f"/proc/{pid}/stat")
    try:
        # A dead process that its parent has not looked after yet still has an id.
        return status_file.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return not Path("/proc/self").exists()


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a count; give 0 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
