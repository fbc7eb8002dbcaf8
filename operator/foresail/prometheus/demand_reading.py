"""Reads demand of some moments: one range query each for the presets and for every expression, then one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from foresail.prometheus.answers import Frame
from foresail.prometheus.asking import Asker, Span
from foresail.prometheus.demand_answers import Answered, DemandTable, demand_table
from foresail.prometheus.joining import Joiner
from foresail.prometheus.queries import CustomQuery, Plan, Question
from foresail.prometheus.settings import DEMAND_STEP_S, Reading

#: A workload has so many rows in an answer about demand, at most.
ROWS_PER_WORKLOAD = 6
CUSTOM = "custom"


def demand_span(first: int, last: int) -> Span:
    return Span(first, last, DEMAND_STEP_S)


def chunk_steps(workloads: int, reading: Reading) -> int:
    """Steps of one range query about demand that stay within the bound on its size."""
    return int(np.clip(reading.largest_fill // (ROWS_PER_WORKLOAD * max(1, workloads)), 8, 2048))


def read_demand(asker: Asker, plan: Plan, joiner: Joiner, reading: Reading, span: Span) -> DemandTable | None:
    """Demand without latency, None where Prometheus answered nothing."""
    parts = plan.parts.get(Question.DEMAND, ())
    demand = asker.ask(Question.DEMAND, parts, span)
    if parts and demand is None:
        return None
    custom = read_custom(asker, figure_queries(plan), span)
    if not parts and custom and all(frame is None for _, frame in custom):
        return None
    return demand_table(demand, None, custom, joiner, reading, span.steps)


def figure_queries(plan: Plan) -> list[CustomQuery]:
    return [query for query in plan.custom if not query.per_minute]


def demand_queries(plan: Plan) -> int:
    """How many queries one reading takes."""
    return len(plan.parts.get(Question.DEMAND, ())) + len(figure_queries(plan))


def read_custom(asker: Asker, queries: Sequence[CustomQuery], span: Span) -> list[Answered]:
    """Answers of users' expressions. One that fails says nothing about its users, and changes nothing for others."""
    return [(query, asker.ask(CUSTOM, (query.promql,), span)) for query in queries]


def at_the_end(frame: Frame | None, steps: int) -> Frame | None:
    """An instant answer as the last of `steps` columns; the others are unknown."""
    if frame is None or frame.steps == steps:
        return frame
    values = np.full((len(frame.labels), steps), np.nan)
    values[:, -1:] = frame.values[:, -1:]
    return replace(frame, values=values)
