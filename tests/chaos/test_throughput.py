import pytest

from chaos.load.target import TargetRefused
from chaos.load.throughput import NoAnswer, measure_throughput


def test_requests_are_counted_and_timed(fake_shop):
    measured = measure_throughput(fake_shop.url, "/product/1", connections=2, duration_s=0.4, warm_up_s=0.1)

    assert measured.requests > 10 and measured.failed == 0
    assert measured.rps == pytest.approx(measured.requests / 0.4)
    assert 0.0 < measured.p50_ms <= measured.p99_ms
    # Those of the warm-up were answered and are not counted.
    assert len(fake_shop.paths) > measured.requests


def test_connections_ask_again_as_soon_as_they_are_answered(fake_shop):
    fake_shop.page_delay_s = 0.1

    measured = measure_throughput(fake_shop.url, "/", connections=4, duration_s=0.6, warm_up_s=0.0)

    # Four lanes, each at most six answers in 0.6 s.
    assert 4 <= measured.requests <= 24
    assert measured.p50_ms >= 100.0


def test_a_page_that_is_always_refused_is_no_measurement(fake_shop):
    fake_shop.answer = lambda *_: (503, {})

    with pytest.raises(NoAnswer, match="no request was answered with success"):
        measure_throughput(fake_shop.url, "/", connections=1, duration_s=0.1, warm_up_s=0.0)


def test_nobody_there_is_named():
    with pytest.raises(NoAnswer, match=r"127\.0\.0\.1:1"):
        measure_throughput("http://127.0.0.1:1", "/", connections=2, duration_s=0.1)


@pytest.mark.parametrize("path", ["product", "/a b", "/a\r\nHost: elsewhere"])
def test_a_path_that_would_break_the_request_is_refused(path, fake_shop):
    with pytest.raises(TargetRefused, match="path"):
        measure_throughput(fake_shop.url, path)


def test_another_machine_is_refused():
    with pytest.raises(TargetRefused, match="--allow-host"):
        measure_throughput("http://192.0.2.1", "/")
