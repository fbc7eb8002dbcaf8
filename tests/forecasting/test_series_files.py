from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecasting.series_files import Series, SeriesFileInvalid, read_series

NAN = np.nan
#: 2024-05-01 00:00 UTC: 19,844 days after 1970.
MAY_S = 19_844 * 86_400.0


@pytest.fixture
def file(tmp_path):
    def write(text, name="rates.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def only(path, step_s=None):
    (series,) = read_series(path, step_s)
    return series


def test_reads_times_values_and_labels(file):
    series = only(
        file(
            "TimeStamp,Value,Label\n2024-05-01T00:00:00Z,3,0\n2024-05-01T00:01:00Z,4.5,1\n2024-05-01T00:02:00Z,-1e3,0\n"
        )
    )

    assert series.name == "rates"
    assert series.step_s == 60.0
    assert series.start_at_s == MAY_S
    np.testing.assert_array_equal(series.values, [3.0, 4.5, -1000.0])
    np.testing.assert_array_equal(series.labels, [False, True, False])


@pytest.mark.parametrize(
    ("header", "times"),
    [
        pytest.param(
            "TIMESTAMP,value", ("2024-05-01 00:00:00", "2024-05-01 00:05:00", "2024-05-01 00:10:00"), id="sql"
        ),
        pytest.param(
            "time,VALUE", ("2024-05-01T02:00+02:00", "2024-05-01T02:05+0200", "2024-05-01T02:10+02"), id="iso"
        ),
        pytest.param("Date,Value", ("5/1/2024 0:00", "5/1/2024 0:05", "5/1/2024 0:10"), id="us"),
        pytest.param("Date,Value", ("5/1/2024 12:00 AM", "5/1/2024 12:05 am", "5/1/2024 12:10 AM"), id="us-12-hours"),
        pytest.param("Date,Value", ("1.5.2024 00:00", "1.5.2024 00:05", "1.5.2024 00:10"), id="german"),
        pytest.param("ts,v", (f"{MAY_S:.0f}", f"{MAY_S + 300:.0f}", f"{MAY_S + 600:.0f}"), id="unix-seconds"),
        pytest.param(
            "Time (ms),v", (f"{MAY_S:.0f}000", f"{MAY_S + 300:.0f}000", f"{MAY_S + 600:.0f}000"), id="unix-ms"
        ),
        pytest.param("at,v", ("2024-05-01", "2024-05-01 00:05", "2024-05-01 00:10"), id="any-name-for-dates"),
        pytest.param(
            "Time,v",
            ("2024-05-01 00:00:00.5 +0000 UTC m=+0.1", "2024-05-01 00:05:00.5 +0000 UTC", "2024-05-01 00:10:00.5 UTC"),
            id="go",
        ),
    ],
)
def test_reads_times_in_many_forms(file, header, times):
    rows = "\n".join(f"{time},{value}" for time, value in zip(times, (1, 2, 4), strict=True))

    series = only(file(f"{header}\n{rows}\n"))

    assert series.step_s == 300.0
    assert series.start_at_s == pytest.approx(MAY_S, abs=0.6)
    np.testing.assert_array_equal(series.values, [1.0, 2.0, 4.0])


def test_a_day_above_twelve_says_that_days_come_first(file):
    series = only(file("date,value\n12/06/2024,1\n13/06/2024,2\n14/06/2024,3\n"))

    # 12 June is 42 days after 1 May.
    assert series.start_at_s == MAY_S + 42 * 86_400.0
    assert series.step_s == 86_400.0


def test_small_numbers_count_from_the_beginning_and_have_no_date(file):
    series = only(file("t_s,rps\n0,5\n15,6\n30,7\n"))

    assert series.start_at_s is None
    assert series.step_s == 15.0


def test_sorts_lines_averages_doubles_and_leaves_gaps(file):
    # Steps of 60 s; 120 s is missing, 60 s is there twice.
    series = only(file("t,v,label\n180,8,0\n0,1,0\n60,2,0\n60,4,1\n240,9,0\n300,7,0\n"))

    np.testing.assert_array_equal(series.values, [1.0, 3.0, NAN, 8.0, 9.0, 7.0])
    np.testing.assert_array_equal(series.labels, [False, True, False, False, False, False])


def test_jitter_of_a_ticker_does_not_shift_the_grid(file):
    rng = np.random.default_rng(4)
    times = 1_700_000_000 + 60.0006 * np.arange(1200) + rng.uniform(-8, 8, 1200)
    rows = "\n".join(f"{time:.3f},{count}" for count, time in enumerate(times))

    series = only(file(f"time,v\n{rows}\n"))

    assert series.step_s == 60.0
    np.testing.assert_array_equal(series.values, np.arange(1200.0))


def test_a_given_step_averages_what_falls_into_it(file):
    # Points lie at 0, 60 and 120 s; samples up to half a step beside them belong to them: 0, 15 | 35, 60, 80 | 100.
    series = only(file("t,v\n0,1\n15,3\n35,6\n60,7\n80,8\n100,5\n"), step_s=60.0)

    np.testing.assert_array_equal(series.values, [2.0, 7.0, 5.0])


@pytest.mark.parametrize("gap", ["", "NaN", "inf", "-inf", "null", "n/a", "1e999"])
def test_what_is_no_finite_number_is_missing(file, gap):
    series = only(file(f"t,v\n0,1\n15,{gap}\n30,3\n"))

    np.testing.assert_array_equal(series.values, [1.0, NAN, 3.0])


def test_reads_one_number_a_line(file):
    series = only(file("157\n\n158.5\nnan\n160\n", "trace.txt"), step_s=1.0)

    assert (series.name, series.step_s, series.start_at_s, series.labels) == ("trace", 1.0, None, None)
    np.testing.assert_array_equal(series.values, [157.0, 158.5, NAN, 160.0])


def test_a_gap_in_the_first_line_is_no_header(file):
    np.testing.assert_array_equal(only(file("nan\n2\n3\n"), 1.0).values, [NAN, 2.0, 3.0])


def test_a_header_may_stand_above_one_number_a_line(file):
    np.testing.assert_array_equal(only(file("requests\n1\n2\n"), 1.0).values, [1.0, 2.0])


def test_reads_wide_tables(file):
    first, second = read_series(file("time,cpu of a,cpu of b\n0,1,10\n60,2,\n120,3,30\n", "pods.csv"))

    assert (first.name, second.name) == ("pods/cpu of a", "pods/cpu of b")
    np.testing.assert_array_equal(first.values, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(second.values, [10.0, NAN, 30.0])


def test_joins_header_words_of_several_rows(file):
    text = "service,web,web,cart\nmetric,latency,requests,latency\nunix_timestamp,,,\n"
    rows = "".join(f"{MAY_S + 300 * k:.1f},0.{k},{k},\n" for k in range(3))

    series = read_series(file(text + rows))

    # The last column is empty, so it is no series.
    assert [one.name for one in series] == ["rates/web latency", "rates/web requests"]
    assert series[0].start_at_s == MAY_S


def test_passes_over_a_name_repeated_on_every_line_and_second_times(file):
    text = "Time,TimeStamp,PodName,CpuUsage(m),Rate\n"
    rows = "".join(f"2024-05-01 00:0{k}:00,99{k},web-1,{k},{2 * k}\n" for k in range(3))

    series = read_series(file(text + rows))

    assert [one.name for one in series] == ["rates/CpuUsage(m)", "rates/Rate"]
    assert series[0].start_at_s == MAY_S


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index"])
def test_passes_over_a_column_that_counts_the_lines(file, name):
    series = only(file(f"{name},timestamp,value\n0,{MAY_S},5\n1,{MAY_S + 60},7\n2,{MAY_S + 120},6\n"))

    np.testing.assert_array_equal(series.values, [5.0, 7.0, 6.0])


def test_reads_labels_without_times(file):
    series = only(file("Data,Label\n5,0\n7,1\n"), 60.0)

    np.testing.assert_array_equal(series.values, [5.0, 7.0])
    np.testing.assert_array_equal(series.labels, [False, True])


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_reads_other_delimiters(file, delimiter):
    text = "t,a,b\n0,1,5\n60,2,6\n".replace(",", delimiter)

    assert [list(one.values) for one in read_series(file(text))] == [[1.0, 2.0], [5.0, 6.0]]


def test_reads_tables_without_a_header(file):
    assert only(file(f"{MAY_S:.0f},1\n{MAY_S + 60:.0f},2\n")).start_at_s == MAY_S
    assert [list(one.values) for one in read_series(file("1,5\n2,6\n"), 60.0)] == [[1.0, 2.0], [5.0, 6.0]]


def test_unzips(file):
    path = file(gzip.compress(b"t,v\n0,1\n60,2\n"), "rates.csv.gz")

    assert only(path).name == "rates"


def test_reads_utf_16_and_marks_of_utf_8(file):
    assert only(file("t,v\n0,1\n60,2\n".encode("utf-16"))).known == 2
    assert only(file("t,v\n0,1\n60,2\n".encode("utf-8-sig"))).step_s == 60.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", ("empty",), id="empty"),
        pytest.param("\n \n", ("empty",), id="blank"),
        pytest.param("TimeStamp,Value\n", ("no line of data",), id="header-only"),
        pytest.param("t,v\n0,1\n", ("single line",), id="one-line"),
        pytest.param("1\n2\n", ("--step-s",), id="no-step"),
        pytest.param("a,b\n1,2\n3,4\n", ("--step-s", "TimeStamp"), id="no-times"),
        pytest.param("t,v\n0,red\n60,blue\n", ("'v'", "text", "'red'", "remove"), id="text"),
        pytest.param("t,v\n0,1\n60,2o\n120,3\n", ("line 3", "'v'", "'2o'", "correct"), id="no-number"),
        pytest.param("t,v\n0,1\nnoon,2\n", ("line 3", "'noon'", "ISO 8601"), id="no-time"),
        pytest.param("time,v\n2024-02-30 00:00,1\n2024-03-01 00:00,2\n", ("line 2", "2024-02-30"), id="no-such-day"),
        pytest.param("time,v\n2024-02-28 25:00,1\n2024-03-01 00:00,2\n", ("line 2", "25:00"), id="no-such-hour"),
        pytest.param(
            "time,v\n20240228120000,1\n20240228120100,2\n", ("line 2", "no time"), id="digits-that-are-no-unix-time"
        ),
        pytest.param("time,v\n1e308,1\n1e308,2\n", ("line 2", "no time"), id="time-beyond-measure"),
        pytest.param("a,b,time\n1,2\n3,4\n", ("line 2", "'' is no time"), id="lines-without-their-time"),
        pytest.param("t,v\n60,1\n60,2\n", ("same time",), id="one-time"),
        pytest.param("t,v,label\n0,1,0\n60,2,odd\n", ("line 3", "'label'", "'odd'", "1 or 0"), id="label"),
        pytest.param("t,v\n0,\n60,nan\n120,4\n", ("no column holds 2", "1"), id="too-few-numbers"),
        pytest.param("t,kind\n0,red\n60,red\n", ("'kind'", "text"), id="only-a-name"),
        pytest.param("time,TimeStamp\n0,1\n60,2\n", ("no column of numbers", "'time'"), id="only-times"),
        pytest.param('t,v\n0,"1\n60,2\n', ("CSV",), id="open-quote"),
        pytest.param('t,v\n0,"1\n60",2\n', ("several lines",), id="cell-over-lines"),
        pytest.param(b"\x00\x01\x02", ("not text",), id="binary"),
        pytest.param(b"\xff\xfe\xff", ("not text",), id="broken-utf-16"),
        pytest.param(gzip.compress(b"t,v\n0,1\n")[:-9], ("cannot be read",), id="torn-gzip"),
    ],
)
def test_says_what_is_wrong_and_how_to_mend_it(file, text, words):
    path = file(text)

    with pytest.raises(SeriesFileInvalid) as refused:
        read_series(path)

    message = str(refused.value)
    assert message.startswith(str(path))
    for word in words:
        assert word in message


def test_times_without_an_even_step_are_refused_unless_one_is_given(file):
    gaps = np.random.default_rng(7).exponential(30.0, 400)
    rows = "\n".join(f"{time:.3f},1" for time in np.cumsum(gaps))
    path = file(f"t,v\n{rows}\n")

    with pytest.raises(SeriesFileInvalid, match="no even step"):
        read_series(path)
    assert only(path, 60.0).step_s == 60.0


def test_a_file_of_almost_only_gaps_is_refused(file):
    rows = "\n".join(f"{k},1" for k in range(100))

    with pytest.raises(SeriesFileInvalid, match="19 in 20"):
        read_series(file(f"t,v\n{rows}\n90000000,1\n"))


@pytest.mark.parametrize("step_s", [0.0, -1.0, NAN, np.inf])
def test_a_step_must_be_a_length(file, step_s):
    with pytest.raises(SeriesFileInvalid, match="above 0"):
        read_series(file("1\n2\n"), step_s)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(SeriesFileInvalid, match="no such file"):
        read_series(tmp_path / "none.csv")
    with pytest.raises(SeriesFileInvalid, match="cannot be read"):
        read_series(tmp_path)


def test_a_part_keeps_its_times_and_labels():
    labels = np.array([False, False, True, True])
    series = Series("a", "g", np.arange(4.0), 60.0, 1000.0, labels)

    part = series.part(1, 3)

    np.testing.assert_array_equal(part.values, [1.0, 2.0])
    np.testing.assert_array_equal(part.labels, [False, True])
    assert part.start_at_s == 1060.0


CELLS = st.one_of(
    st.sampled_from(["", "nan", "inf", "1", "-2.5", "1e308", "-1e308", "5e-324", "1e400", "99999999999999999999"]),
    st.sampled_from(["1714521600", "1714521600000", "2024-05-01", "2024-05-01 10:00", "13/13/2024", "0x1"]),
    st.sampled_from(["time", "Value", "Label", "a b", '"', "#"]),
    st.floats().map(repr),
    st.text(max_size=6),
)
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=8).map(
    lambda rows: "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")
)
STEPS = st.one_of(st.none(), st.floats(min_value=1e-9, max_value=1e9))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(st.binary(max_size=80), TABLES, TABLES.map(lambda raw: b"TimeStamp,Value,Label\n" + raw)),
    step_s=STEPS,
)
def test_whatever_is_in_a_file_gives_series_or_a_refusal(tmp_path, content, step_s):
    path = tmp_path / "any.csv"
    path.write_bytes(content)

    try:
        found = read_series(path, step_s)
    except SeriesFileInvalid as refused:
        assert str(path) in str(refused)
        return

    assert found
    for series in found:
        assert series.values.dtype == np.float64
        assert series.known >= 2
        assert not np.isinf(series.values).any()
        assert series.step_s > 0
        assert series.labels is None or series.labels.shape == series.values.shape
