"""Whether this replica is alive and whether it is ready, with the reasons where it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

#: A new process lists objects and fills its history before its first tick; nobody restarts it meanwhile.
START_UP_S = 120.0
#: A watch says something at least once a minute; an API server that is away for long is no reason to restart.
SILENT_S = 600.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so. `detail` is for people."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        checks = {check.name: {"ok": check.ok, "detail": check.detail} for check in self.checks}
        return {"ok": self.ok, "checks": checks}


@dataclass(frozen=True, slots=True)
class Vitals:
    """What is asked at every check, from another thread. Ages in seconds, None: it has never happened."""

    age_s: Callable[[], float]  # of this process
    last_tick_age_s: Callable[[], float | None]
    objects_age_s: Callable[[], float | None]  # since the API server's last word on what is watched
    policies_known: Callable[[], bool]  # ResiliencePolicies have been listed
    objects_known: Callable[[], bool]  # every needed kind has been listed
    observed: Callable[[], bool]  # metrics have answered, "unknown" included


def alive(vitals: Vitals, stale_after_s: float) -> Verdict:
    """For /healthz: False asks for a restart, so only what a restart may mend counts."""
    starting = vitals.age_s() < START_UP_S
    return Verdict(
        (
            _recent("last_tick", vitals.last_tick_age_s(), stale_after_s, starting),
            _recent("last_word_of_the_api", vitals.objects_age_s(), max(SILENT_S, stale_after_s), starting),
        )
    )


def ready(vitals: Vitals) -> Verdict:
    """For /readyz: whether this replica knows enough to lead."""
    return Verdict(
        (
            _known("policies", vitals.policies_known(), "ResiliencePolicies listed"),
            _known("objects", vitals.objects_known(), "objects listed"),
            _known("metrics", vitals.observed(), "metrics asked for"),
        )
    )


def failing(verdict: Verdict) -> Sequence[str]:
    return [f"{check.name}: {check.detail}" for check in verdict.checks if not check.ok]


def _recent(name: str, age_s: float | None, most_s: float, starting: bool) -> Check:
    if age_s is None:
        return Check(name, starting, "has not happened yet")
    return Check(name, age_s <= most_s or starting, f"{age_s:.1f} s ago, at most {most_s:g} s")


def _known(name: str, known: bool, what: str) -> Check:
    return Check(name, known, what if known else f"not yet: {what}")
