from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from simulation.scenario import Fault, FaultKind, Scenario, Trace, parse_scenario
from simulation.trace import TraceInvalid, read_trace, with_trace

REAL = Path(__file__).parents[3] / "../shared/data"


def trace_of(tmp_path: Path, text: str, **options: object) -> Trace:
    path = tmp_path / "trace.csv"
    path.write_text(text, encoding="utf-8")
    return Trace.model_validate({"file": str(path), **options})


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        pytest.param("10\n20\n30\n", {}, [10, 20, 30], id="one-number-a-line"),
        pytest.param("10\n\n30\n", {}, [10, 20, 30], id="empty-line-is-a-gap"),
        pytest.param("nan\n20\nNaN\n", {}, [20, 20, 20], id="gaps-at-the-ends-take-the-nearest"),
        pytest.param("\ufeffvalue\r\n1\r\n2\r\n", {}, [1, 2], id="windows-file-with-header"),
        pytest.param(
            '"TimeStamp","Value","Label"\n"2018-03-15T00:00:00Z",4,0\n"2018-03-15T01:00:00Z",8,1\n',
            {},
            [4, 8],
            id="time-value-label",
        ),
        pytest.param(
            "TimeStamp,Value\n2018-01-01 00:00,1\n2018-01-01 00:01,2\n2018-01-01 00:03,4\n",
            {},
            [1, 2, 3, 4],
            id="a-line-missing-between-two-times",
        ),
        pytest.param(
            "time,Value\n0,1\n60,2\n120,4\n60,4\n120,6\n180,7\n", {}, [1, 3, 5, 7], id="an-hour-that-comes-twice"
        ),
        pytest.param("t_s,web,api\n0,1,5\n1,2,7\n", {"column": "api"}, [5, 7], id="wide-with-column"),
        pytest.param("10\n30\n", {"mean_rps": 40}, [20, 60], id="scaled-to-a-mean"),
        pytest.param("10\n30\n", {"peak_rps": 90}, [30, 90], id="scaled-to-a-peak"),
    ],
)
def test_reads(tmp_path: Path, text: str, options: dict[str, object], expected: list[float]) -> None:
    series = read_trace(trace_of(tmp_path, text, **options))

    np.testing.assert_allclose(series.rates_rps, expected)


def test_says_how_many_steps_were_filled(tmp_path: Path) -> None:
    assert read_trace(trace_of(tmp_path, "1\nnan\n\n4\n")).filled == 2


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        pytest.param("", {}, "the file is empty", id="empty"),
        pytest.param("\n\n", {}, "the file is empty", id="blank"),
        pytest.param("Value\n", {}, "no line of data", id="header-only"),
        pytest.param("1\n2\nabc\n", {}, "line 3: 'abc' is not a number", id="not-a-number"),
        pytest.param("1\n-2\n", {}, "line 2: the rate -2 is negative", id="negative"),
        pytest.param("1\ninf\n", {}, "line 2: the rate inf is no rate", id="infinite"),
        pytest.param('1\n"2\n', {}, "not a CSV file", id="open-quote"),
        pytest.param("1\n200001\n", {}, "asks for up to 200001 requests/s", id="too-many"),
        pytest.param("nan\nnan\n", {}, "no line holds a number", id="only-gaps"),
        pytest.param("t,a,b\n0,1,2\n", {"column": "c"}, "no column 'c'", id="missing-column"),
        pytest.param("t,a,b\n0,1,2\n", {}, "which column holds the rate", id="ambiguous-column"),
        pytest.param("1\n2\n", {"column": "Value"}, "no header", id="column-without-header"),
        pytest.param("time,Value\n5,1\n5,1\n", {}, "all lines have the same time", id="time-stands-still"),
        pytest.param("time,Value\nnoon,1\n", {}, "line 2: 'noon' is no time", id="bad-time"),
        pytest.param("0\n0\n", {"mean_rps": 5}, "every rate is zero", id="cannot-scale"),
    ],
)
def test_refuses_with_place_and_fix(tmp_path: Path, text: str, options: dict[str, object], message: str) -> None:
    trace = trace_of(tmp_path, text, **options)

    with pytest.raises(TraceInvalid, match=message) as refused:
        read_trace(trace)

    assert trace.file in str(refused.value)


def test_refuses_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(TraceInvalid, match="no such file"):
        read_trace(Trace(file=str(tmp_path / "nowhere.csv")))
    with pytest.raises(TraceInvalid, match="cannot be read"):
        read_trace(Trace(file=str(tmp_path)))


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "1\n")
    read_trace(trace)

    Path(trace.file).write_text("5\n", encoding="utf-8")
    os.utime(trace.file, ns=(1, 1))

    assert read_trace(trace).rates_rps.tolist() == [5.0]


def scenario_of(duration_s: float, faults: tuple[Fault, ...] = ()) -> Scenario:
    base = parse_scenario(
        f"{{name: t, duration_s: {duration_s}, topology: {{services: [{{name: web, cpu_ms: 10}}]}}}}", "t"
    )
    return base.model_copy(update={"faults": faults})


def test_the_scenario_ends_with_the_shorter_of_the_two(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, "1\n" * 50, step_s=2.0)  # 100 s

    assert with_trace(scenario_of(500), trace).duration_s == 100.0
    assert with_trace(scenario_of(30), trace).duration_s == 30.0


def test_faults_after_the_end_of_the_trace_do_not_happen(tmp_path: Path) -> None:
    early, late = (Fault(kind=FaultKind.API_OUTAGE, start_s=t) for t in (10.0, 200.0))

    scenario = with_trace(scenario_of(500, (early, late)), trace_of(tmp_path, "1\n" * 100))

    assert scenario.faults == (early,)


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared data sets are not here")
def test_reads_every_real_rate_series() -> None:
    files = sorted(REAL.glob("autothrottle-traces/traces/*.txt"))
    files += sorted(REAL.glob("ms-cloud-monitoring/data/*/*.csv"))
    for file in files:
        series = read_trace(Trace(file=str(file), peak_rps=100.0))
        assert series.rates_rps.max() == pytest.approx(100.0)
        assert np.isfinite(series.rates_rps).all()
    assert files
