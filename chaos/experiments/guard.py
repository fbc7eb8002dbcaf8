"""Is the shop well before an experiment, and may the experiment go on? Judged from what is seen each second."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from chaos.experiments.problems import NotSteady, RunAborted
from simulation.scoring.downtime import BAD_RATIO, LEAST_BAD, WINDOW_S


@dataclass(frozen=True, slots=True)
class Glance:
    """What is known at a moment. Counts are of requests since the load began; None: not known."""

    at_s: float  # of the scenario, negative in the warm-up
    settled: int  # answered, failed or skipped
    bad: int  # failed or skipped
    p99_s: float | None  # of the last seconds
    unready: tuple[str, ...] | None  # workloads with fewer pods ready than wanted

    @property
    def ready(self) -> bool:
        return self.unready == ()


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The steady state: what holds over `for_s` seconds of a shop that is well."""

    p99_s: float
    error_ratio: float = 0.01
    for_s: float = 30.0
    least_requests: int = 30


@dataclass(frozen=True, slots=True)
class GuardVerdict:
    """What the guard has to say about a run; goes beside its result."""

    steady: bool
    deviations: tuple[str, ...]
    error_minutes: float
    most_error_minutes: float
    aborted: str | None


def deviations(seen: Sequence[Glance], wanted: Hypothesis) -> tuple[str, ...]:
    """Everything about the last `for_s` seconds that is not as wanted; empty: the shop is well."""
    if not seen:
        return ("nothing was seen",)
    last = seen[-1]
    window = [glance for glance in seen if glance.at_s >= last.at_s - wanted.for_s]
    if last.at_s - window[0].at_s < wanted.for_s - 2.0:
        return (f"only {last.at_s - window[0].at_s:.0f} of {wanted.for_s:g} s were seen",)
    found = []
    requests, bad = last.settled - window[0].settled, last.bad - window[0].bad
    if requests < wanted.least_requests:
        found.append(f"{requests} requests in {wanted.for_s:g} s: too few to tell")
    elif bad > wanted.error_ratio * requests:
        found.append(f"{100.0 * bad / requests:.1f} % of requests failed, at most {100.0 * wanted.error_ratio:g} %")
    slowest = max((glance.p99_s for glance in window if glance.p99_s is not None), default=None)
    if slowest is None:
        found.append("no latency is known")
    elif slowest > wanted.p99_s:
        found.append(f"p99 reached {slowest:.2f} s, at most {wanted.p99_s:g} s")
    if any(glance.unready is None for glance in window):
        found.append("the API server did not say whether pods are ready")
    waiting = sorted({name for glance in window for name in glance.unready or ()})
    if waiting:
        found.append(f"pods of {', '.join(waiting)} were not ready")
    return tuple(found)


class Guard:
    """`note` once a second; it raises `NotSteady` at t = 0 of a shop that is not well, and `RunAborted` later.

    Minutes of error are seconds that are down by the scoreboard's rule, as far as it can be told while a run goes on:
    a p99 above the objective stands for more than 1 % of slow requests.
    """

    def __init__(self, wanted: Hypothesis, most_error_minutes: float, blind_s: float = 60.0) -> None:
        self._wanted = wanted
        self._most_error_minutes = most_error_minutes
        self._blind_s = blind_s
        self._seen: deque[Glance] = deque(maxlen=900)
        self._down_s = 0.0
        self._steady = False
        self._deviations: tuple[str, ...] = ()
        self._aborted: str | None = None

    def note(self, glance: Glance) -> None:
        before = self._seen[-1] if self._seen else None
        self._seen.append(glance)
        if glance.at_s < 0.0 or before is None:
            return
        if before.at_s < 0.0:
            self._judge_start()
        if self._is_down():
            self._down_s += glance.at_s - max(before.at_s, 0.0)
        if self.error_minutes > self._most_error_minutes:
            self._abort(f"{self.error_minutes:.1f} minutes of error, at most {self._most_error_minutes:g}")
        if self._silent_s() > self._blind_s:
            self._abort(f"no request was settled for {self._silent_s():.0f} s: is the load still there?")

    @property
    def error_minutes(self) -> float:
        return self._down_s / 60.0

    def verdict(self) -> GuardVerdict:
        return GuardVerdict(self._steady, self._deviations, self.error_minutes, self._most_error_minutes, self._aborted)

    def _judge_start(self) -> None:
        self._deviations = deviations([g for g in self._seen if g.at_s < 0.0], self._wanted)
        self._steady = not self._deviations
        if self._deviations:
            raise NotSteady(f"the shop was not well when the experiment should begin: {'; '.join(self._deviations)}")

    def _is_down(self) -> bool:
        last = self._seen[-1]
        first = next(g for g in self._seen if g.at_s >= last.at_s - WINDOW_S)
        settled, bad = last.settled - first.settled, last.bad - first.bad
        failing = bad >= LEAST_BAD and bad > BAD_RATIO * settled
        slow = last.p99_s is not None and last.p99_s > self._wanted.p99_s and settled >= LEAST_BAD
        return failing or slow

    def _silent_s(self) -> float:
        last = self._seen[-1]
        return last.at_s - next(g.at_s for g in self._seen if g.settled == last.settled)

    def _abort(self, why: str) -> None:
        self._aborted = why
        raise RunAborted(why)
