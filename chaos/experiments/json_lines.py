"""Files of JSON lines that survive a kill -9: a line counts once its end is on the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chaos.experiments.problems import FolderInvalid


def append_line(path: Path, line: Mapping[str, Any]) -> None:
    """On the disk before this returns. What a killed process left of a line is cut off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as out:
        out.seek(0)
        out.truncate(out.read().rfind(b"\n") + 1)
        out.write((json.dumps(line) + "\n").encode())
        out.flush()
        os.fsync(out.fileno())


def read_lines(path: Path, what: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Numbers and objects of all whole lines; nothing where there is no file. A torn last line was never acted upon.

    Raises `FolderInvalid`, whose message says what each line should have been.
    """
    if not path.is_file():
        return
    for number, row in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            line = json.loads(row)
        except ValueError:
            line = None
        if not isinstance(line, dict):
            raise FolderInvalid(f"{path}: line {number} is no {what}")
        yield number, line
