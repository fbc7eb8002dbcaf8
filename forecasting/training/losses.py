"""What training minimises: pinball loss in scaled space, and the likelihood of a Gaussian copula for joint paths."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from forecasting.forecast import LEVELS
from forecasting.quantiles import NORMAL_SCORES

#: Independent noise that no factor explains, before variances are brought to one.
COPULA_NOISE = 0.3
#: Levels weigh as 1 / density of the normal score, to this power: tails decide capacity.
TAIL_EMPHASIS = 0.35
#: Scaled values beyond this are all the same to the loss in measured units: some 16 deviations.
LINEAR_REACH = 3.5


def level_weights(device: torch.device | str = "cpu") -> Tensor:
    """`(levels,)`, mean one."""
    scores = torch.tensor(NORMAL_SCORES, dtype=torch.float32, device=device)
    weights = torch.exp(0.5 * TAIL_EMPHASIS * scores**2)
    return weights / weights.mean()


def pinball_loss(quantiles: Tensor, outcomes: Tensor, known: Tensor, row_weights: Tensor, weights: Tensor) -> Tensor:
    """Mean over known steps of the weighted pinball loss, half of it in scaled space and half of it as measured.

    The minimum is the same; what differs is what an error costs. Scaled space forgives tails that reach too far, where
    capacity is paid for. `row_weights` `(rows, 2)`: how much a row counts in each space.
    """
    scaled = _by_row(quantiles, outcomes, known, weights)
    reach = (-LINEAR_REACH, LINEAR_REACH)
    measured = _by_row(torch.sinh(quantiles.clamp(*reach)), torch.sinh(outcomes.clamp(*reach)), known, weights)
    return 0.5 * (scaled * row_weights[:, 0] + measured * row_weights[:, 1]).mean()


def _by_row(quantiles: Tensor, outcomes: Tensor, known: Tensor, weights: Tensor) -> Tensor:
    levels = torch.tensor(LEVELS, dtype=torch.float32, device=quantiles.device)
    error = outcomes.unsqueeze(2) - quantiles
    loss = (torch.maximum(levels * error, (levels - 1.0) * error) * weights).mean(dim=2)
    by_row: Tensor = (loss * known).sum(dim=1) / known.sum(dim=1).clamp(min=1.0)
    return by_row


def normal_scores(quantiles: Tensor, outcomes: Tensor) -> Tensor:
    """Where outcomes fall among the quantiles, as standard normal scores, `(rows, steps)`; ends at the outer levels."""
    scores = torch.tensor(NORMAL_SCORES, dtype=torch.float32, device=quantiles.device)
    width = (quantiles[:, :, 1:] - quantiles[:, :, :-1]).clamp(min=1e-7)
    share = ((outcomes.unsqueeze(2) - quantiles[:, :, :-1]) / width).clamp(0.0, 1.0)
    return scores[0] + (share * (scores[1:] - scores[:-1])).sum(dim=2)


def correlation(raw: Tensor) -> Tensor:
    """`(rows, steps, factors + 2)` → correlation matrices `(rows, steps, steps)`.

    Shared factors, an Ornstein-Uhlenbeck process whose clock runs at a learned speed, and independent noise.
    """
    loadings, speed, amplitude = raw[:, :, :-2], functional.softplus(raw[:, :, -2] - 2.0), raw[:, :, -1]
    clock = torch.cumsum(speed, dim=1)
    kernel = torch.exp(-(clock.unsqueeze(2) - clock.unsqueeze(1)).abs())
    wide = functional.softplus(amplitude + 1.0)
    covariance = loadings @ loadings.transpose(1, 2) + wide.unsqueeze(2) * kernel * wide.unsqueeze(1)
    covariance = covariance + COPULA_NOISE**2 * torch.eye(raw.shape[1], device=raw.device)
    deviation = torch.diagonal(covariance, dim1=1, dim2=2).sqrt()
    matrix: Tensor = covariance / (deviation.unsqueeze(2) * deviation.unsqueeze(1))
    return matrix


def copula_loss(raw: Tensor, scores: Tensor, whole: Tensor) -> Tensor:
    """Mean negative log-likelihood per step of the scores under the copula, over rows whose outcomes are all known."""
    if not bool(whole.any()):
        return raw.sum() * 0.0
    factor = torch.linalg.cholesky(correlation(raw[whole].float()))
    white = torch.linalg.solve_triangular(factor, scores[whole].unsqueeze(2), upper=False).squeeze(2)
    log_determinant = 2.0 * torch.log(torch.diagonal(factor, dim1=1, dim2=2)).sum(dim=1)
    likelihood = 0.5 * (log_determinant + (white**2).sum(dim=1) - (scores[whole] ** 2).sum(dim=1))
    per_step: Tensor = likelihood.mean() / scores.shape[1]
    return per_step
