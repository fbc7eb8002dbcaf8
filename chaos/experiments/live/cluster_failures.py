"""What a cluster could not do, in the words of whoever asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chaos.clusters.cluster import ClusterFailed
from chaos.experiments.problems import ExperimentError


@contextmanager
def cluster_failures_as(kind: type[ExperimentError], said: str = "{}") -> Iterator[None]:
    """Inside, `ClusterFailed` becomes an error of this kind; `said` has a place for its message."""
    try:
        yield
    except ClusterFailed as error:
        raise kind(said.format(error)) from error
