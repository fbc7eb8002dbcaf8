"""Outages of what Foresail leans on: programs of the control plane that hang."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from e2e_stage import Stage

_PROMETHEUS = "prometheus"


@contextmanager
def prometheus_hangs(stage: Stage) -> Iterator[None]:
    """It takes connections and answers none, as a server that is out of memory; it goes on when the block ends."""
    stage.cluster.hang_program(_PROMETHEUS)
    try:
        yield
    finally:
        stage.cluster.resume_program(_PROMETHEUS)
