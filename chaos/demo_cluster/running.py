"""The sale itself: the policy is told, visitors come, and a line every few seconds says what happens."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from chaos.clusters.processes import wait_until
from chaos.demo_cluster.installing import SHOP, Say
from chaos.demo_cluster.places import Places
from chaos.demo_cluster.readings import Reading, explanation, reading
from chaos.demo_cluster.sale import Sale, with_event
from chaos.demo_cluster.tools import Tools
from chaos.load.plan import LoadPlan
from chaos.load.run import Progress, run_load
from chaos.load.summary import LoadSummary

EVERY_S = 5.0
SLO_S = 0.4  # the shop's policy's
HEADING = " time                  sent  seen forecast floor  HPA ready      p99 failed"
LEGEND = (
    "sent, seen: requests/s by the visitors and by Foresail; forecast: 95 in 100 futures stay below it in a minute;\n"
    "floor: the gateway HPA's minReplicas (* Foresail's); HPA: what it wants; p99 and failed: of the visitors."
)


@dataclass(frozen=True, slots=True)
class Course:
    """How it went. `floor_after_s`: from the first visitor until a floor of Foresail's stood; None: none did.

    `explanation`: why it stood; where none did, what was decided last.
    """

    summary: LoadSummary
    floor_after_s: float | None
    highest_floor: int | None
    explanation: str | None


def declared_and_run(
    tools: Tools, places: Places, sale: Sale, out: Path, say: Say, show: Callable[[str], None]
) -> Course:
    """Raises what `run_load` raises. Ctrl-C ends the load early and still sums up."""
    wait_until("the shop to answer", lambda: _answers(places.storefront), 60.0, pause_s=1.0)
    plan = LoadPlan(
        url=places.storefront,
        shape=sale.shape(seed=1),
        out=out,
        ledger=out / "ledger.jsonl",
        seed=int(time.time()),
        most_in_flight=200,
        slo_latency_s=SLO_S,
    )
    event = sale.event(datetime.now(UTC))
    _declare(tools, event)
    say(f"declared: {event['name']} at {event['start']}, {sale.multiplier:g} × for {sale.lasts_s:.0f} s")
    show(LEGEND)
    show(HEADING)
    watcher = _Watcher(tools, places.prometheus, sale, show)
    summary = run_load(plan, watcher.watch)
    why = watcher.why or explanation(tools, None)
    return Course(summary, watcher.floor_after_s, watcher.highest_floor, why)


@dataclass(slots=True)
class _Watcher:
    """Told of the load's progress every second or so; looks at the cluster now and then."""

    tools: Tools
    prometheus: str
    sale: Sale
    show: Callable[[str], None]
    floor_after_s: float | None = None
    highest_floor: int | None = None
    why: str | None = None
    _told: bool = False
    _last: Progress | None = None
    _shown_at_s: float = field(default=float("-inf"))

    def watch(self, now: Progress) -> None:
        if now.elapsed_s - self._shown_at_s < EVERY_S:
            return
        self._shown_at_s = now.elapsed_s
        seen = reading(self.tools, self.prometheus)
        self.show(row(self.sale, now, self._last, seen))
        self._last = now
        if seen.decision is not None and seen.least is not None:
            self._floor_stands(now, seen.decision, seen.least)

    def _floor_stands(self, now: Progress, decision: str, least: int) -> None:
        if self.floor_after_s is None:
            self.floor_after_s = now.elapsed_s
        self.highest_floor = max(self.highest_floor or 0, least)
        if not self._told:
            self.why = explanation(self.tools, decision)
            self._told = self.why is not None
            if self.why is not None:
                self.show(f"       Foresail: {self.why}")


def row(sale: Sale, now: Progress, before: Progress | None, seen: Reading) -> str:
    """One line of the table; what is not known is a dash."""
    least = None if seen.least is None else f"{seen.least}{'*' if seen.floor_stands else ' '}"
    return (
        f"{_clock(now.elapsed_s):>5}  {sale.phase(now.elapsed_s):<14} {now.rps:5.0f} {_figure(seen.demand_rps):>5} "
        f"{_figure(seen.forecast_rps):>8} {least or '–':>5} {_figure(seen.wanted):>4} {_figure(seen.ready):>5} "
        f"{'–' if now.p99_ms is None else f'{now.p99_ms:.0f} ms':>8} {_share(_failed_share(now, before)):>6}"
    )


def _failed_share(now: Progress, before: Progress | None) -> float | None:
    """Of the requests that were answered since the last line; None: there were none."""
    failed = now.failed - (before.failed if before else 0)
    answered = now.ok - (before.ok if before else 0) + failed
    return failed / answered if answered > 0 else None


def _declare(tools: Tools, event: dict[str, object]) -> None:
    events = tools.get("resiliencepolicy/shop", "-n", SHOP)["spec"].get("events", [])
    body = json.dumps({"spec": {"events": with_event(events, event)}})
    tools.kubectl("patch", "resiliencepolicy", "shop", "-n", SHOP, "--type=merge", "-p", body)


def _answers(storefront: str) -> bool:
    with urllib.request.urlopen(f"{storefront}/", timeout=10.0) as answer:
        return bool(answer.status == 200)


def _clock(elapsed_s: float) -> str:
    return f"{int(elapsed_s) // 60}:{int(elapsed_s) % 60:02d}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value * 100.0:.1f} %"
