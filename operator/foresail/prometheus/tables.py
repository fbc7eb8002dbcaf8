"""Named rows of numbers over the steps of an answer, and how they are added up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from forecasting.forecast import Floats

Merge = Callable[[Floats, Floats], Floats]
Rows = dict[str, Floats]  # by workload or pod, `(steps,)` each


def added(a: Floats, b: Floats) -> Floats:
    """The sum of what is known; unknown only where both are."""
    return np.where(np.isnan(a), b, np.where(np.isnan(b), a, a + b))


def larger(a: Floats, b: Floats) -> Floats:
    """The larger of what is known."""
    return np.fmax(a, b)


def put(rows: Rows, name: str, values: Floats, merge: Merge = added) -> None:
    """Adds a row, merged with what stands there by the same name."""
    known = rows.get(name)
    rows[name] = values if known is None else merge(known, values)


def stacked(rows: Rows, names: tuple[str, ...], steps: int) -> Floats:
    """`(names, steps)`, NaN for names without a row."""
    table = np.full((len(names), steps), np.nan)
    for place, name in enumerate(names):
        row = rows.get(name)
        if row is not None:
            table[place] = row
    return table


def without_negatives(values: Floats) -> tuple[Floats, int]:
    """Where only numbers from 0 on make sense: the others unknown, and how many there were."""
    negative = values < 0.0
    count = int(negative.sum())
    return (np.where(negative, np.nan, values), count) if count else (values, 0)


def share(part: Floats, whole: Floats) -> Floats:
    """`part` of `whole`, at most 1; unknown where there is no whole. An unknown part of a known whole is 0.

    Prometheus has no series for what never happened: a workload that counts its requests counts its errors too.
    """
    part = np.where(np.isnan(part) & ~np.isnan(whole), 0.0, part)
    ratio = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0.0)
    return np.asarray(np.minimum(ratio, 1.0))
