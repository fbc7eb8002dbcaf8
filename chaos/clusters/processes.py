"""Programs that are run to their end, or started to stay."""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from chaos.clusters.cluster import ClusterFailed

T = TypeVar("T")
Word = str | Path | int

#: Debian keeps servers' programs where users' PATH does not look.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(
    *command: Word,
    limit_s: float = 120.0,
    given: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str:
    """What the program wrote. Raises `ClusterFailed` with what it said when it fails or takes longer."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            text=True,
            capture_output=True,
            check=False,
            timeout=limit_s,
            input=given,
            env=None if environment is None else dict(environment),
            cwd=folder,
        )
    except FileNotFoundError:
        raise ClusterFailed(f"{words[0]} is not installed: `foresail cluster build` brings what is needed") from None
    except subprocess.TimeoutExpired:
        raise ClusterFailed(f"{shlex.join(words)}: still running after {limit_s:g} s") from None
    if done.returncode:
        raise ClusterFailed(f"{shlex.join(words)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def start(
    command: Sequence[Word],
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
    handed_over: Sequence[int] = (),
) -> int:
    """Process id of a program that outlives this one; it gets the file descriptors in `handed_over`."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            env=None if environment is None else dict(environment),
            pass_fds=tuple(handed_over),
        )
    # Should it end before we do, somebody has to take note, or it would linger as a zombie.
    threading.Thread(target=child.wait, daemon=True).start()
    return child.pid


def wait_until(what: str, found: Callable[[], T | None], limit_s: float = 60.0, pause_s: float = 0.1) -> T:
    """What `found` returns once it is neither None nor False; its failures count as not yet.

    Raises `ClusterFailed` with the last failure when that takes longer than `limit_s`.
    """
    until_s = time.monotonic() + limit_s
    last: Exception | None = None
    while True:
        try:
            value = found()
        except (OSError, ValueError, ClusterFailed) as error:
            last = error
        else:
            if value is not None and value is not False:
                return value
        if time.monotonic() > until_s:
            raise ClusterFailed(f"{what}: not within {limit_s:g} s" + (f" ({last})" if last else ""))
        time.sleep(pause_s)


def needs_root(what: str) -> None:
    if os.geteuid() != 0:
        raise ClusterFailed(f"{what} needs root: namespaces, mounts and cgroups are made")
