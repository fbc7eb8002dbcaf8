"""Answers about workloads → offered demand, failures and rejections per workload."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats
from foresail.prometheus.answers import Frame
from foresail.prometheus.joining import Joiner
from foresail.prometheus.queries import CustomQuery
from foresail.prometheus.reasons import UnknownReason
from foresail.prometheus.settings import Reading
from foresail.prometheus.tables import Rows, added, larger, put, share, stacked, without_negatives
from foresail.prometheus.watched import Figure, WorkloadMetrics

Answered = tuple[CustomQuery, Frame | None]


@dataclass(frozen=True, slots=True)
class DemandTable:
    """All arrays are `(workloads, steps)`, NaN where unknown; `saturated` says where demand was censored."""

    workloads: tuple[str, ...]
    offered_rps: Floats
    failed_ratio: Floats
    rejected_rps: Floats
    latency_p99_s: Floats
    saturated: NDArray[np.bool_]
    problems: Counter[UnknownReason]

    def without_newest(self, workloads: set[str]) -> DemandTable:
        """The same, with the newest demand of some workloads unknown."""
        offered_rps = self.offered_rps.copy()
        offered_rps[[row for row, name in enumerate(self.workloads) if name in workloads], -1] = np.nan
        return replace(self, offered_rps=offered_rps)

    def newest(self) -> dict[str, WorkloadMetrics]:
        """The last step as values."""
        return {
            name: WorkloadMetrics(
                offered_rps=_known(self.offered_rps[row, -1]),
                error_ratio=_known(self.failed_ratio[row, -1]),
                rejected_rps=_known(self.rejected_rps[row, -1]),
                latency_p99_s=_known(self.latency_p99_s[row, -1]),
                saturated=bool(self.saturated[row, -1]),
            )
            for row, name in enumerate(self.workloads)
        }


def demand_table(
    demand: Frame | None,
    latency: Frame | None,
    custom: Iterable[Answered],
    joiner: Joiner,
    reading: Reading,
    steps: int,
) -> DemandTable:
    """Everything that the answers say about the watched workloads over `steps` steps."""
    rows: dict[str, Rows] = {}
    problems: Counter[UnknownReason] = Counter()
    for frame in (demand, latency):
        if frame is not None:
            _read_preset(frame, joiner, rows, problems)
    own = _own_figures(custom, joiner, steps, problems)
    names = tuple(joiner.watched)

    def table(figure: str) -> Floats:
        values, negative = without_negatives(stacked(rows.get(figure, {}), names, steps))
        problems[UnknownReason.NEGATIVE] += negative
        return values

    served = table("offered")
    offered = larger(served, table("called"))
    # Rates of two processes are read at different moments, so that the difference may fall a little below 0.
    offered = np.maximum(offered - np.nan_to_num(table("again")), 0.0)
    figures = {
        Figure.OFFERED: offered,
        Figure.FAILED: table("failed"),
        Figure.REJECTED: larger(table("rejected"), table("shed")),
        Figure.LATENCY_P99: table("latency_p99"),
    }
    for figure, replaced in own.items():
        known = np.array([name in replaced for name in names])
        values, negative = without_negatives(stacked(replaced, names, steps))
        problems[UnknownReason.NEGATIVE] += negative
        figures[figure] = np.where(known[:, None], values, figures[figure])
    offered, rejected = figures[Figure.OFFERED], figures[Figure.REJECTED]
    rejected = np.where(np.isnan(rejected) & ~np.isnan(offered), 0.0, rejected)
    failed_ratio = share(figures[Figure.FAILED], larger(served, offered))
    saturated = _saturated(offered, rejected, failed_ratio, joiner, names, reading)
    return DemandTable(names, offered, failed_ratio, rejected, figures[Figure.LATENCY_P99], saturated, problems)


def _read_preset(frame: Frame, joiner: Joiner, rows: dict[str, Rows], problems: Counter[UnknownReason]) -> None:
    for labels, values in zip(frame.labels, frame.values, strict=True):
        workload = joiner.workload(labels)
        if workload is None:
            problems[UnknownReason.NO_OWNER] += 1
            continue
        _, figure = joiner.tag(labels)
        put(rows.setdefault(figure, {}), workload, values, larger if figure == Figure.LATENCY_P99 else added)


def _own_figures(
    custom: Iterable[Answered], joiner: Joiner, steps: int, problems: Counter[UnknownReason]
) -> dict[Figure, Rows]:
    """What users' expressions say. Who has one is in, with nothing known where it did not answer for it."""
    own: dict[Figure, Rows] = {}
    for query, frame in custom:
        for figure in Figure:
            users = [workload for workload, about in query.users if about is figure]
            if users:
                rows = own.setdefault(figure, {})
                rows.update({user: np.full(steps, np.nan) for user in users})
                if frame is not None:
                    _read_own(frame, users, figure, joiner, rows, problems)
    return own


def _read_own(
    frame: Frame,
    users: Sequence[str],
    figure: Figure,
    joiner: Joiner,
    rows: Rows,
    problems: Counter[UnknownReason],
) -> None:
    merge = larger if figure is Figure.LATENCY_P99 else added
    for labels, values in zip(frame.labels, frame.values, strict=True):
        if not joiner.names_nobody(labels):
            owner = joiner.owner(labels)
            reason = UnknownReason.NO_OWNER
        else:
            owner = users[0] if len(users) == 1 else None
            reason = UnknownReason.AMBIGUOUS
        if owner in users:
            put(rows, str(owner), values, merge)
        else:
            problems[reason] += 1


def _saturated(
    offered: Floats,
    rejected: Floats,
    failed_ratio: Floats,
    joiner: Joiner,
    names: tuple[str, ...],
    reading: Reading,
) -> NDArray[np.bool_]:
    """Where so much was rejected, by the workload or by the entry before it, that its demand reads too low.

    An entry in any trouble does not pass its requests on.
    """
    choked: NDArray[np.bool_] = rejected > reading.rejected_ratio * offered
    troubled = choked | (failed_ratio > reading.rejected_ratio)
    place = {name: row for row, name in enumerate(names)}
    saturated = choked.copy()
    for name, row in place.items():
        entry = joiner.watched[name].entry
        if entry is not None and entry in place:
            saturated[row] |= troubled[place[entry]]
    return saturated


def _known(value: float) -> float | None:
    return None if value != value else float(value)
