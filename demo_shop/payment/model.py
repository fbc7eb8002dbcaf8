"""How the payment stub behaves: how long a bank takes and what it declines."""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

_Z_99: Final = 2.3263478740  # standard normal quantile of 0.99
RANDOM_DECLINES: Final = 0.03  # of orders paid with `tok_random_…`


class State(StrEnum):
    CAPTURED = "captured"
    DECLINED = "declined"
    REFUNDED = "refunded"


@dataclass(frozen=True, slots=True)
class LatencyModel:
    """Log-normal, as the answers of remote services are, cut at `longest_s`."""

    median_s: float = 0.020
    p99_s: float = 0.080
    longest_s: float = 1.0

    def draw_s(self, rng: random.Random) -> float:
        # ln X is normal with mean ln(median); its 0.99 quantile is ln(p99), hence sigma.
        sigma = math.log(self.p99_s / self.median_s) / _Z_99
        return min(self.longest_s, self.median_s * math.exp(sigma * rng.gauss(0.0, 1.0)))


def is_declined(payment_token: str, order_id: UUID) -> bool:
    """Whether the bank refuses; the same order gets the same answer however often it is asked."""
    if payment_token == "tok_declined":
        return True
    if not payment_token.startswith("tok_random_"):
        return False
    digest = hashlib.sha256(order_id.bytes).digest()
    return int.from_bytes(digest[:8]) / 2.0**64 < RANDOM_DECLINES
