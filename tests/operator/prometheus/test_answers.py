"""Any JSON that a server may send as rows becomes numbers and reasons."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.prometheus.answers import matrix, vector
from foresail.prometheus.reasons import UnknownReason

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(10**400)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
NUMBERS = st.sampled_from(["1", "NaN", "+Inf", "-0", "1e400", "x", "", None, 7, [], "1_0"])
SAMPLE = st.tuples(st.sampled_from([60.0, 60, 75, "60", 1e300, None]), NUMBERS).map(list) | JSON
METRIC = st.dictionaries(st.text(max_size=2), st.text(max_size=2) | JSON, max_size=2)
ROW = (
    st.fixed_dictionaries({"metric": METRIC, "value": SAMPLE})
    | st.fixed_dictionaries({"metric": METRIC, "values": st.lists(SAMPLE, max_size=4) | JSON})
    | JSON
)


@settings(deadline=None)
@given(st.lists(ROW, max_size=5))
def test_no_rows_are_too_odd_for_a_vector(rows: list[object]) -> None:
    frame = vector(rows, 60.0)

    assert frame.values.shape == (len(frame.labels), 1)
    assert not np.isinf(frame.values).any()


@settings(deadline=None)
@given(st.lists(ROW, max_size=5))
def test_no_rows_are_too_odd_for_a_matrix(rows: list[object]) -> None:
    frame = matrix(rows, 60.0, 120.0, 15.0)

    assert frame.values.shape == (len(frame.labels), 5)
    assert not np.isinf(frame.values).any()


def test_points_go_to_the_column_of_their_own_time() -> None:
    points = [[120, "3"], [60, "1"], [68, "9"], [135, "9"], [105, "NaN"]]

    frame = matrix([{"metric": {}, "values": points}], 60.0, 120.0, 15.0)

    np.testing.assert_array_equal(frame.values, [[1.0, np.nan, np.nan, np.nan, 3.0]])
    assert frame.problems == {UnknownReason.WRONG_TIME: 2, UnknownReason.NOT_FINITE: 1}


def test_series_that_contradict_each_other_are_not_believed() -> None:
    rows = [{"metric": {"pod": pod}, "value": [60, value]} for pod, value in (("a", "1"), ("b", "2"), ("a", "3"))]

    frame = vector(rows, 60.0)

    assert frame.labels == ({"pod": "b"},)
    assert frame.values.tolist() == [[2.0]]
    assert frame.problems == {UnknownReason.DUPLICATE: 2}
