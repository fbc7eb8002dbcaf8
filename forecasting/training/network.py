"""The network: scaled history at two resolutions in, quantiles of 64 steps out, in one pass.

A patch transformer: 8 tokens of 32 older and 16 of 16 newer native steps, 8 of 64 coarse buckets, 4 of 16 steps to
come. All attend to all; the last layer is evaluated for the future tokens only. Each step's median is a learned
mixture of the anchors (`forecasting.features`) plus a correction; quantiles are the median plus and minus sums of
positive increments, hence monotone by construction. A copula head says how the steps hang together.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecasting.features import (
    ANCHORS,
    CALENDAR,
    COARSE_BUCKETS,
    COARSE_PATCH,
    CONTEXT_STEPS,
    HORIZON_STEPS,
    LARGEST_SCALED,
    OLDER_PATCH,
    OLDER_STEPS,
    PATCH_STEPS,
    STATIC,
)
from forecasting.forecast import LEVELS

Size = Literal["s", "m"]
#: Inputs of the graph in their order.
INPUT_NAMES = ("context", "coarse", "anchors", "anchor_known", "events", "calendar", "static")
OLDER_TOKENS = OLDER_STEPS // OLDER_PATCH
NEWER_TOKENS = (CONTEXT_STEPS - OLDER_STEPS) // PATCH_STEPS
COARSE_TOKENS = COARSE_BUCKETS // COARSE_PATCH
FUTURE_TOKENS = HORIZON_STEPS // PATCH_STEPS
TOKENS = OLDER_TOKENS + NEWER_TOKENS + COARSE_TOKENS + FUTURE_TOKENS
MEDIAN = LEVELS.index(0.5)
ABOVE, BELOW = len(LEVELS) - 1 - MEDIAN, MEDIAN


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Hyper-parameters; `factors` is the rank of the copula head's shared noise."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    hidden: int = 320
    factors: int = 6

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


CONFIGS: dict[Size, NetworkConfig] = {
    "s": NetworkConfig(),
    "m": NetworkConfig(width=256, layers=6, heads=8, hidden=768, factors=8),
}


class Gated(nn.Module):
    """Gated MLP (SwiGLU, Shazeer 2020)."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.up = nn.Linear(inputs, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.up(x).chunk(2, dim=-1)
        out: Tensor = self.down(functional.silu(gate) * value)
        return out


class Block(nn.Module):
    """Pre-normed attention of `queries` over all tokens, then a gated MLP."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.before_attention = nn.LayerNorm(config.width, bias=False)
        self.before_mlp = nn.LayerNorm(config.width, bias=False)
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key_value = nn.Linear(config.width, 2 * config.width, bias=False)
        self.out = nn.Linear(config.width, config.width, bias=False)
        self.mlp = Gated(config.width, config.hidden, config.width)

    def forward(self, tokens: Tensor, last: int) -> Tensor:
        """The last `last` tokens after this layer."""
        normed = self.before_attention(tokens)
        kept = tokens[:, -last:]
        query = self._by_head(self.query(normed[:, -last:]))
        key, value = self.key_value(normed).chunk(2, dim=-1)
        # Plain products: with so few tokens they are faster forth and back than a fused kernel.
        scores = query @ self._by_head(key).transpose(2, 3) * (query.shape[-1] ** -0.5)
        attended = torch.softmax(scores, dim=-1) @ self._by_head(value)
        kept = kept + self.out(attended.transpose(1, 2).flatten(2))
        out: Tensor = kept + self.mlp(self.before_mlp(kept))
        return out

    def _by_head(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


class ForecastNetwork(nn.Module):
    """`forward` takes the arrays of `Features.inputs()` and returns quantiles `(rows, 64, levels)` in scaled space and
    the copula's raw parameters `(rows, 64, factors + 2)`."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width, anchors = config.width, len(ANCHORS)
        self.older_in = Gated(OLDER_PATCH * 4 + CALENDAR, width, width)
        self.newer_in = Gated(PATCH_STEPS * 4 + CALENDAR, width, width)
        self.coarse_in = Gated(COARSE_PATCH * 3 + CALENDAR, width, width)
        self.future_in = Gated(PATCH_STEPS * (2 * anchors + 1) + CALENDAR, width, width)
        self.static_in = nn.Sequential(nn.Linear(STATIC, width), nn.SiLU(), nn.Linear(width, width))
        self.position = nn.Parameter(torch.randn(TOKENS, width) * 0.02)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.normed = nn.LayerNorm(width, bias=False)
        self.to_steps = Gated(width, width, PATCH_STEPS * 32)
        self.mixing = nn.Linear(32, anchors + 1)
        self.spread = nn.Linear(32, ABOVE + BELOW + 1)
        self.copula = nn.Linear(32, config.factors + 2)
        self.steps: Tensor
        self.register_buffer("steps", torch.log1p(torch.arange(HORIZON_STEPS).float()) / 4.0)
        self._start_near_the_anchors()

    def forward(
        self,
        context: Tensor,
        coarse: Tensor,
        anchors: Tensor,
        anchor_known: Tensor,
        events: Tensor,
        calendar: Tensor,
        static: Tensor,
    ) -> tuple[Tensor, Tensor]:
        older = context[:, :OLDER_STEPS].reshape(-1, OLDER_TOKENS, OLDER_PATCH * 4)
        newer = context[:, OLDER_STEPS:].reshape(-1, NEWER_TOKENS, PATCH_STEPS * 4)
        long = coarse.reshape(-1, COARSE_TOKENS, COARSE_PATCH * 3)
        of_older, of_newer, of_long, of_future = torch.split(
            calendar, [OLDER_TOKENS, NEWER_TOKENS, COARSE_TOKENS, FUTURE_TOKENS], dim=1
        )
        given = torch.cat([anchors, anchor_known, events.unsqueeze(2)], dim=2)
        future = given.reshape(-1, FUTURE_TOKENS, PATCH_STEPS * (2 * len(ANCHORS) + 1))
        tokens = torch.cat(
            [
                self.older_in(torch.cat([older, of_older], dim=2)),
                self.newer_in(torch.cat([newer, of_newer], dim=2)),
                self.coarse_in(torch.cat([long, of_long], dim=2)),
                self.future_in(torch.cat([future, of_future], dim=2)),
            ],
            dim=1,
        )
        tokens = tokens + self.position + self.static_in(static).unsqueeze(1)
        for block in self.blocks[:-1]:
            tokens = block(tokens, TOKENS)
        ahead = self.normed(self.blocks[-1](tokens, FUTURE_TOKENS))
        steps = self.to_steps(ahead).reshape(-1, HORIZON_STEPS, 32)
        return self._quantiles(steps, anchors, anchor_known, static), self.copula(steps.detach())

    def _quantiles(self, steps: Tensor, anchors: Tensor, anchor_known: Tensor, static: Tensor) -> Tensor:
        mixing = self.mixing(steps).float()
        # A missing anchor has no share. Beyond the cut nothing is told apart.
        shares = torch.softmax(mixing[:, :, :-1] - 30.0 * (1.0 - anchor_known), dim=2)
        raw = self.spread(steps).float()
        # Spread grows from the recent movement, so that quiet and wild rows are equally easy to say.
        movement = torch.exp(0.5 * static[:, 1]).reshape(-1, 1, 1)
        unit = torch.exp(torch.clamp(raw[:, :, -1:] + self.steps.reshape(1, -1, 1), -9.0, 4.0)) * movement
        middle = (shares * anchors).sum(dim=2, keepdim=True) + mixing[:, :, -1:] * unit
        gaps = functional.softplus(raw[:, :, :-1]) * unit
        above = middle + torch.cumsum(gaps[:, :, :ABOVE], dim=2)
        below = middle - torch.cumsum(gaps[:, :, ABOVE:], dim=2)
        quantiles = torch.cat([torch.flip(below, dims=[2]), middle, above], dim=2)
        return torch.clamp(quantiles, -LARGEST_SCALED, LARGEST_SCALED)

    def _start_near_the_anchors(self) -> None:
        nn.init.zeros_(self.mixing.bias)
        nn.init.normal_(self.mixing.weight, std=0.02)
        nn.init.normal_(self.spread.weight, std=0.02)
        nn.init.constant_(self.spread.bias, -2.0)
        with torch.no_grad():
            self.spread.bias[-1] = -0.5


def parameters(network: nn.Module) -> int:
    """Trainable numbers in all."""
    return sum(parameter.numel() for parameter in network.parameters())
