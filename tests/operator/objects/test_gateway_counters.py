"""A gateway's rate and failures out of its counters."""

from __future__ import annotations

import pytest

from foresail.objects.gateway_counters import CounterSpec, Counts, GatewayMeter, Reading, metered, read_counts

PAGE = """# HELP http_server_request_duration_seconds From the first byte to the last
# TYPE http_server_request_duration_seconds histogram
http_server_request_duration_seconds_bucket{route="/",method="GET",status="200",le="+Inf"} 90
http_server_request_duration_seconds_count{route="/",method="GET",status="200"} 90
http_server_request_duration_seconds_count{route="/buy \\"now\\"",method="POST",status="503"} 7
http_server_request_duration_seconds_count{route="/",method="GET",status="404"} 3
http_server_request_duration_seconds_created{route="/",method="GET",status="200"} 1.7e9
other_total 5
"""


def test_counts_requests_and_failures() -> None:
    assert read_counts(PAGE, CounterSpec()) == Counts(total=100.0, failed=7.0)


def test_counts_only_the_series_that_are_asked_for() -> None:
    page = """istio_requests_total{reporter="source",response_code="200"} 5
istio_requests_total{reporter="destination",response_code="0"} 2
"""
    spec = CounterSpec("istio_requests_total", labels={"reporter": "destination"})

    assert read_counts(page, spec) == Counts(total=2.0, failed=2.0)  # 0: no answer


@pytest.mark.parametrize(
    "page",
    [
        pytest.param("", id="empty"),
        pytest.param("other_total 5\n", id="without the counter"),
        pytest.param('http_server_request_duration_seconds_count{status="200"} lots\n', id="words"),
        pytest.param('http_server_request_duration_seconds_count{status="200"} NaN\n', id="not a number"),
        pytest.param('http_server_request_duration_seconds_count{status="200\n', id="cut off"),
        pytest.param('http_server_request_duration_seconds_count{status="200"} -4\n', id="negative"),
        pytest.param("http_server_request_duration_seconds_count +Inf\n", id="endless"),
    ],
)
def test_what_cannot_be_read_is_unknown(page: str) -> None:
    assert read_counts(page, CounterSpec()) is None


def read(*rounds: dict[str, Counts | None], step_s: float = 1.0) -> GatewayMeter:
    meter = GatewayMeter()
    for number, pods in enumerate(rounds):
        at_s = number * step_s
        readings = {pod: None if counts is None else Reading(counts, at_s, at_s) for pod, counts in pods.items()}
        meter = metered(meter, {"shop/gateway": readings})
    return meter


def test_two_readings_make_a_rate() -> None:
    meter = read({"a": Counts(1000, 10), "b": Counts(0, 0)}, {"a": Counts(1030, 13), "b": Counts(10, 1)})

    assert meter.rate_rps == 40.0
    assert meter.failed_ratio == 0.1
    assert meter.recent_rps == {"shop/gateway": (40.0,)}


@pytest.mark.parametrize(
    "late_s", [pytest.param((0.0, 0.8, 0.0), id="answered late"), pytest.param((0.8, 0.0, 0.8), id="others late")]
)
def test_an_answer_that_comes_late_makes_no_surge(late_s: tuple[float, ...]) -> None:
    # 40 requests a second; the count is of the moment of the question.
    meter = GatewayMeter()
    for second, late in enumerate(late_s):
        reading = Reading(Counts(40.0 * second, 0.0), float(second), second + late)
        meter = metered(meter, {"shop/gateway": {"a": reading}})

        assert max(meter.recent_rps.get("shop/gateway", (0.0,))) <= 40.0


def test_one_reading_is_no_rate() -> None:
    meter = read({"a": Counts(1000, 10)})

    assert meter.rate_rps is None and meter.failed_ratio is None and meter.recent_rps == {}


def test_a_process_that_began_anew_is_counted_from_nothing() -> None:
    assert read({"a": Counts(1000, 10)}, {"a": Counts(20, 0)}).rate_rps == 20.0


def test_without_requests_there_is_no_ratio() -> None:
    meter = read({"a": Counts(5, 0)}, {"a": Counts(5, 0)})

    assert meter.rate_rps == 0.0 and meter.failed_ratio is None


def test_a_pod_that_was_silent_for_a_second_counts_over_two() -> None:
    answers: list[dict[str, Counts | None]] = [
        {"a": Counts(0, 0), "b": Counts(0, 0)},
        {"a": Counts(10, 0), "b": None},
        {"a": Counts(20, 0), "b": Counts(20, 0)},
    ]

    assert read(*answers[:2]).rate_rps == 10.0  # what half of the pods say stands for the rest
    assert read(*answers).rate_rps == 20.0


def test_a_gateway_most_of_whose_pods_are_silent_is_unknown_and_its_past_forgotten() -> None:
    three: dict[str, Counts | None] = {pod: Counts(0, 0) for pod in "abc"}
    one: dict[str, Counts | None] = {"a": Counts(9, 0), "b": None, "c": None}

    meter = read(three, three, one)

    assert meter.rate_rps is None and meter.recent_rps == {}


def test_ten_seconds_are_kept() -> None:
    meter = read(*({"a": Counts(number * number, 0)} for number in range(15)))

    # From n² to (n+1)² there are 2n+1 requests; the last ten steps begin at n = 4.
    assert meter.recent_rps == {"shop/gateway": tuple(2.0 * n + 1 for n in range(4, 14))}


def test_a_reading_after_a_long_pause_begins_anew() -> None:
    assert read({"a": Counts(0, 0)}, {"a": Counts(600, 0)}, step_s=60.0).rate_rps is None
