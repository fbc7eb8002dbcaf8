"""`python -m chaos.load JOB`: sends the load of a job file. Started by `run_load`, never imported."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> int:
    from gevent import monkey

    monkey.patch_all()  # before anything opens a socket
    from chaos.load.engine import Engine
    from chaos.load.job import Job

    return Engine(Job.read(Path(sys.argv[1]))).run()


if __name__ == "__main__":
    sys.exit(main())
