"""The project's charts, which a checkout has and an installed package has not."""

from __future__ import annotations

from pathlib import Path

from chaos.clusters.cluster import ClusterFailed

CHARTS = Path(__file__).parents[2] / "charts"


def check_charts() -> None:
    """Raises `ClusterFailed` where they are not."""
    if not CHARTS.is_dir():
        raise ClusterFailed("the charts are not here: run this from a checkout of the repository")
