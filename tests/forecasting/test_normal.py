from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from forecasting.normal import normal_scores, probability_below


def test_probabilities_are_those_of_the_normal_distribution() -> None:
    scores = np.linspace(-30.0, 9.0, 4_001)

    assert np.allclose(probability_below(scores), ndtr(scores), rtol=1e-12, atol=0.0)


def test_scores_are_the_inverse_also_far_out() -> None:
    probabilities = np.concatenate([10.0 ** np.linspace(-300.0, -1.0, 2_001), np.linspace(0.001, 0.9999999, 4_001)])

    assert np.allclose(normal_scores(probabilities), ndtri(probabilities), rtol=1e-12, atol=1e-14)


def test_what_is_certain_has_a_finite_score() -> None:
    low, high = normal_scores(np.array([0.0, 1.0]))

    assert -40.0 < low < -37.0 and 8.0 < high < 9.0


def test_of_nothing_comes_nothing() -> None:
    assert normal_scores(np.zeros(0)).shape == probability_below(np.zeros(0)).shape == (0,)
