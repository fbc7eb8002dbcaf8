"""States as JSON: nothing is lost, small numbers stay small."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from forecasting.forecast import Floats
from forecasting.packing import packed, unpacked


@dataclass(frozen=True)
class Inner:
    values: Floats
    names: tuple[str, ...]


@dataclass(frozen=True)
class Outer:
    inner: Inner
    at_s: float
    count: int


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.asarray([[1.5, np.nan], [-np.inf, 0.25]]), id="exact-in-float32"),
        pytest.param(np.asarray([0.1, 1e300]), id="only-in-float64"),
        pytest.param(np.zeros((0, 3)), id="empty"),
    ],
)
def test_arrays_come_back_as_they_were(values: Floats) -> None:
    again = unpacked(json.loads(json.dumps(packed(values))))

    assert again.shape == values.shape
    assert np.array_equal(again, values, equal_nan=True)


def test_what_float32_holds_takes_half_the_room() -> None:
    assert packed(np.asarray([0.5]))["type"] == "<f4"
    assert packed(np.asarray([0.1]))["type"] == "<f8"


def test_values_inside_values_come_back_as_fields() -> None:
    state = Outer(Inner(np.asarray([1.0, 2.0]), ("a", "b")), -np.inf, 3)

    fields = unpacked(json.loads(json.dumps(packed(state))))

    assert Inner(**fields["inner"]).names == ("a", "b")
    assert fields["inner"]["values"].tolist() == [1.0, 2.0]
    assert fields["at_s"] == -np.inf
    assert fields["count"] == 3
