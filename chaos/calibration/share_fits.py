"""Shares of the classes, as live clients asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from chaos.calibration.draft import Draft
from chaos.calibration.fit import Fit
from chaos.calibration.intervals import share
from chaos.calibration.observed import Observed
from chaos.experiments.shop_map import ENTERS_AT

LEAST_REQUESTS = 200


def share_fits(draft: Draft, runs: Sequence[Observed]) -> Iterator[Fit]:
    """Of requests: a live cart or order is several, and those before the last enter as carts. All or none are used,
    since shares only mean something beside one another."""
    topology = draft.topology
    asked = Counter(ENTERS_AT[request.operation] for run in runs for request in run.requests)
    total = sum(asked[one.operation] for one in topology.classes)
    whole = sum(one.share for one in topology.classes)
    if total < LEAST_REQUESTS:
        left = f"{total} requests, at least {LEAST_REQUESTS} are needed"
    else:
        missing = [one.name for one in topology.classes if not asked[one.operation]]
        left = f"nobody asked for {', '.join(missing)}" if missing else ""
    for one in topology.classes:
        measured = share(asked[one.operation], total, LEAST_REQUESTS)
        yield Fit(f"classes.{one.name}.share", "of requests", one.share / whole, measured, "requests.csv", left)
        if not left and measured.value is not None:
            draft.set_share(one.name, round(measured.value, 6))
