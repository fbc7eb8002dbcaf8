"""How questions travel: in the body, with credentials, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mock_prometheus import MockPrometheus, Series, mock_prometheus

from foresail.prometheus.client import PrometheusClient
from foresail.prometheus.reasons import QueryFailed, UnknownReason
from foresail.prometheus.settings import Connection, PrometheusSettingsInvalid, Reading

AT_S = 1_800_000_000.0


@pytest.fixture
def mock() -> Iterator[MockPrometheus]:
    with mock_prometheus() as server:
        server.custom["up"] = [Series({"job": "a"}, lambda t: t - AT_S + 7.0)]
        yield server


def test_a_long_query_is_posted_in_the_body(mock: MockPrometheus) -> None:
    long = "up" + " or up" * 5000

    PrometheusClient(Connection(mock.url)).instant(long, AT_S)

    assert mock.asked[-1].method == "POST"
    assert mock.asked[-1].address == "/api/v1/query"
    assert mock.asked[-1].query == long


def test_gets_where_a_proxy_lets_nothing_else_through(mock: MockPrometheus) -> None:
    frame = PrometheusClient(Connection(mock.url, method="GET")).instant("up", AT_S)

    assert mock.asked[-1].method == "GET"
    assert frame.values.tolist() == [[7.0]]


def test_a_range_has_a_column_for_every_step_and_none_is_made_up(mock: MockPrometheus) -> None:
    mock.custom["up"] = [Series({"job": "a"}, lambda t: np.where(t == AT_S + 15.0, np.nan, t - AT_S))]

    frame = PrometheusClient(Connection(mock.url)).range("up", AT_S, AT_S + 45.0, 15.0)

    np.testing.assert_array_equal(frame.values, [[0.0, np.nan, 30.0, 45.0]])


def test_the_server_is_told_when_to_stop(mock: MockPrometheus) -> None:
    PrometheusClient(Connection(mock.url, timeout_s=4.0)).instant("up", AT_S, 2.5)

    assert mock.asked[-1].parameters["timeout"] == "2500ms"
    assert float(mock.asked[-1].parameters["time"]) == AT_S


def test_a_rotated_token_is_read_again(mock: MockPrometheus, tmp_path: Path) -> None:
    token = tmp_path / "token"
    client = PrometheusClient(Connection(mock.url, bearer_token_file=token))

    token.write_text("first\n")
    client.instant("up", AT_S)
    token.write_text("second\n")
    client.instant("up", AT_S)

    assert [asked.headers["Authorization"] for asked in mock.asked] == ["Bearer first", "Bearer second"]


def test_a_token_that_is_gone_fails_the_query_and_nothing_else(mock: MockPrometheus, tmp_path: Path) -> None:
    client = PrometheusClient(Connection(mock.url, bearer_token_file=tmp_path / "none"))

    with pytest.raises(QueryFailed) as failed:
        client.instant("up", AT_S)

    assert failed.value.reason is UnknownReason.CREDENTIALS
    assert not mock.asked


def test_knows_itself_by_user_and_password_and_sends_headers(mock: MockPrometheus, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("word")
    connection = Connection(mock.url, username="u", password_file=password, headers={"X-Scope-OrgID": "shop"})

    PrometheusClient(connection).instant("up", AT_S)

    assert mock.asked[-1].headers["Authorization"] == "Basic dTp3b3Jk"  # u:word
    assert mock.asked[-1].headers["X-Scope-OrgID"] == "shop"


def test_nobody_listens() -> None:
    with mock_prometheus() as gone:
        url = gone.url

    with pytest.raises(QueryFailed) as failed:
        PrometheusClient(Connection(url)).instant("up", AT_S)

    assert failed.value.reason is UnknownReason.UNREACHABLE


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"url": "prometheus:9090"}, "url"),
        ({"url": "http://p", "timeout_s": 0.0}, "timeout_s"),
        ({"url": "http://p", "username": "u"}, "password_file"),
        ({"url": "http://p", "username": "u", "bearer_token_file": Path("t")}, "bearer_token_file"),
        ({"url": "http://p", "key_file": Path("k")}, "key_file"),
    ],
)
def test_a_connection_that_means_nothing_is_refused_by_name(fields: dict[str, object], named: str) -> None:
    with pytest.raises(PrometheusSettingsInvalid, match=named):
        Connection(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"rate_window_s": 5.0}, "rate_window_s"),
        ({"extra_matchers": '{a="b"}'}, "extra_matchers"),
        ({"most_parts": 0}, "most_parts"),
    ],
)
def test_a_reading_that_means_nothing_is_refused_by_name(fields: dict[str, object], named: str) -> None:
    with pytest.raises(PrometheusSettingsInvalid, match=named):
        Reading(**fields)  # type: ignore[arg-type]
