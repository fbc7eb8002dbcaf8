"""The hard minutes of a scenario: when faults are planned, or, where there are none, when most clients come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats
from simulation.result import ClientSeconds
from simulation.scenario import Scenario
from simulation.scoring.scoreboard import latency_ms

#: A fault is felt for so long after its planned end.
AFTER_S = 60.0
#: Without a fault: seconds whose planned rate is at least this share of the highest.
BUSY_RATIO = 0.8


def hard_seconds(scenario: Scenario, rates_rps: Floats) -> NDArray[np.bool_]:
    """`(seconds,)`, the same for all arms and for live and simulated runs, since it is made of plans only.

    `rates_rps`: the planned rate of each scored second.
    """
    seconds = np.arange(rates_rps.size)
    if not scenario.faults:
        return np.asarray(rates_rps >= BUSY_RATIO * rates_rps.max(initial=0.0))
    hard = np.zeros(rates_rps.size, dtype=np.bool_)
    for fault in scenario.faults:
        hard |= (seconds >= np.floor(fault.start_s)) & (seconds < fault.end_s + AFTER_S)
    return hard


def p99_ms_in(client: ClientSeconds, chosen: NDArray[np.bool_]) -> float | None:
    """Latency below which 99 % of the requests due in the chosen seconds lie, as clients saw it; None: no answers."""
    counts = np.where(chosen[:, None], client.latency_histogram, 0)
    return latency_ms(replace(client, latency_histogram=counts), 0.99)
