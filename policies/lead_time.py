"""How long a workload's pods take from creation to Ready, learned from every pod that was seen to arrive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from policies.model import PodSeen

KEPT_SAMPLES = 32  # the newest ones: images, nodes and start-up code change
PRIOR_SAMPLES = 4  # what the declared prior counts for; each pod seen replaces one of them
LONGEST_START_S = 900.0  # a longer span is a pod that lost readiness and came back, or one that is stuck
PLANNED_QUANTILE = 0.9


@dataclass(frozen=True, slots=True)
class LeadTimeState:
    """Spans from creation to Ready, oldest first, and the present pods that are already counted.

    `looked`: there was a look before, so that a pod which is Ready and was never seen has just arrived.
    """

    samples_s: tuple[float, ...] = ()
    counted: tuple[str, ...] = ()
    looked: bool = False


def learn(state: LeadTimeState, pods: Sequence[PodSeen]) -> LeadTimeState:
    """The state after one look. A pod counts once, at its first Ready, and never after a restart of its container.

    Pods that are Ready at the first look of all say nothing: each may have lost readiness since it started.
    """
    present = [pod.name for pod in pods]
    known = set(state.counted)
    arrived = [pod for pod in pods if pod.ready_at_s is not None and pod.name not in known]
    if state.looked and not arrived and len(present) >= len(known) and known.issubset(present):
        return state
    told = arrived if state.looked else []
    spans = [pod.ready_at_s - pod.created_at_s for pod in told if pod.restarts == 0 and pod.ready_at_s is not None]
    samples = (*state.samples_s, *(span for span in spans if 0.0 < span <= LONGEST_START_S))
    known.update(pod.name for pod in arrived)
    return LeadTimeState(samples[-KEPT_SAMPLES:], tuple(name for name in present if name in known), True)


def planned_s(state: LeadTimeState, prior_s: float, pods: Sequence[PodSeen] = (), now_s: float = 0.0) -> float:
    """Seconds that nine in ten new pods need at most.

    Pods that wait longer than that now make it longer at once; pods stuck beyond `LONGEST_START_S` say nothing.
    """
    samples = sorted((*state.samples_s, *(prior_s,) * max(0, PRIOR_SAMPLES - len(state.samples_s))))
    usual_s = samples[math.ceil(PLANNED_QUANTILE * len(samples)) - 1]
    known = set(state.counted)
    waiting_s = [now_s - pod.created_at_s for pod in pods if pod.ready_at_s is None and pod.name not in known]
    return max([usual_s, *(age_s for age_s in waiting_s if age_s <= LONGEST_START_S)])
