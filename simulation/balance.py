"""How evenly load lies on the pods of each service: Jain's index in bins of 30 s."""

from __future__ import annotations

import math

import numpy as np

from forecasting.forecast import Floats
from simulation.world import World

BIN_S = 30


class BalanceLog:
    """`jain_index` is `(services, bins)`: 1 where all pods carry load in proportion to their speed.

    NaN below two pods that were endpoints at both ends of the bin, or without load.
    """

    def __init__(self, world: World, seconds: int) -> None:
        self._world = world
        self.jain_index: Floats = np.full((len(world.services), math.ceil(seconds / BIN_S)), np.nan)
        self._before: dict[str, tuple[int, int]] = {}

    def sample(self, now_s: float) -> None:
        """Call every second; it works at the borders of bins."""
        second = round(now_s)
        if second % BIN_S:
            return
        requests = self._world.engine.pods.requests
        before, self._before = self._before, {}
        column = second // BIN_S - 1
        for row, deployment in enumerate(self._world.services.values()):
            loads = []
            for pod in deployment.pods:
                if pod.slot is None or not pod.endpoint:
                    continue
                count = int(requests[pod.slot])
                self._before[pod.name] = (pod.slot, count)
                slot, count_before = before.get(pod.name, (-1, 0))
                if slot == pod.slot and count >= count_before:
                    loads.append((count - count_before) / (pod.share * pod.warmth))
            squares = sum(load * load for load in loads)
            if 0 <= column < self.jain_index.shape[1] and len(loads) >= 2 and squares > 0:
                self.jain_index[row, column] = sum(loads) ** 2 / (len(loads) * squares)
