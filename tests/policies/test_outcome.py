"""Counts of acts as rates."""

from __future__ import annotations

import pytest

from policies import outcome


def test_rates_per_week_and_hundred_workloads() -> None:
    # Two in a day with ten workloads: fourteen a week, ten times that for a hundred.
    assert outcome.per_week_and_100_workloads(2, 86_400.0, 10) == pytest.approx(140.0)
    assert outcome.per_week_and_100_workloads(2, 0.0, 10) is None
