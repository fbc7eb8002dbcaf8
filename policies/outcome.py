"""What was done, counted the way all reports count it."""

from __future__ import annotations


def per_week_and_100_workloads(count: int, duration_s: float, workloads: int) -> float | None:
    """A count as the rate that false actions are reported in; None where nothing was watched."""
    if duration_s <= 0.0 or workloads <= 0:
        return None
    return count * (7 * 86_400.0 / duration_s) * (100.0 / workloads)
