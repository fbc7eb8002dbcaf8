"""Outlives a launcher that was killed, and then ends what it had started.

Its standard input is a pipe that only the launcher holds open: the end of it is the end of the launcher. A word on the
pipe says that the launcher has cleaned up itself.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from demo_shop.local import leftovers

DONE = b"done\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--marker", required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--state-file", type=Path, required=True)
    parser.add_argument("--remove", action="store_true", help="the data folder is the launcher's own")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() == DONE:
        return 0
    leftovers.end_all(options.marker, options.data_dir, gently_s=3.0)
    leftovers.free_shared_memory(options.data_dir)
    options.state_file.unlink(missing_ok=True)
    if options.remove:
        leftovers.remove_folder(options.data_dir)
    return 0


if __name__ == "__main__":
    sys.exit(main())
