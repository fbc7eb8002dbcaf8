"""Draws have the distributions they claim, and histograms the buckets."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.kernel import draws
from simulation.kernel.histogram import BUCKETS, bucket, edges_s, quantile_s

KEYS = [np.uint64(draws.request_key(np.uint64(5), number)) for number in range(20_000)]


def test_uniform_draws_are_uniform_and_independent_between_purposes() -> None:
    first = np.array([draws.uniform(key, draws.WORK) for key in KEYS])
    second = np.array([draws.uniform(key, draws.WAIT) for key in KEYS])

    # 20 bins of 1000: chi-square has 19 degrees of freedom, 99.9 % of it lies below 43.8
    counts, _ = np.histogram(first, 20, (0.0, 1.0))
    assert ((counts - 1000.0) ** 2 / 1000.0).sum() < 43.8
    # the correlation of independent draws has a standard deviation of 1 / sqrt(20000) = 0.007
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.025
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.025


@pytest.mark.parametrize(
    ("distribution", "cv"), [(draws.CONSTANT, 0.0), (draws.EXPONENTIAL, 1.0), (draws.LOGNORMAL, 0.5)]
)
def test_work_has_mean_one_and_its_coefficient_of_variation(distribution: int, cv: float) -> None:
    sigma = float(np.sqrt(np.log1p(cv**2)))
    work = np.array([draws.work_multiple(key, distribution, sigma) for key in KEYS])

    assert work.mean() == pytest.approx(1.0, abs=0.03)
    assert work.std() == pytest.approx(cv, abs=0.03)


def test_every_call_and_attempt_has_a_key_of_its_own() -> None:
    keys = {
        draws.attempt_key(caller, edge, attempt) for caller in KEYS[:50] for edge in range(20) for attempt in range(4)
    }

    assert len(keys) == 50 * 20 * 4


def test_latencies_fall_between_the_edges_of_their_bucket() -> None:
    edges = edges_s()
    for latency_s in np.geomspace(1e-5, 300.0, 500).tolist():
        i = bucket(latency_s)
        assert edges[i] <= latency_s < edges[i + 1]


def test_edges_grow_fourfold_to_each_doubling() -> None:
    edges = edges_s()

    assert len(edges) == BUCKETS + 1
    assert edges[4] == pytest.approx(2.0**-10)
    assert edges[8] == pytest.approx(2.0**-9)
    assert edges[5] / edges[4] == pytest.approx(1.25)


def test_quantiles_are_read_to_within_a_bucket() -> None:
    latencies_s = np.random.default_rng(6).exponential(0.1, 20_000)
    counts = np.bincount([bucket(latency_s) for latency_s in latencies_s.tolist()], minlength=BUCKETS)

    for q in (0.1, 0.5, 0.9, 0.99):
        assert quantile_s(counts, q) == pytest.approx(float(np.quantile(latencies_s, q)), rel=0.05)
    assert quantile_s(np.zeros(BUCKETS, np.int64), 0.5) is None
