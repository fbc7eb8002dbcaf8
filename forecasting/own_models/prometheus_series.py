"""Series from Prometheus' range queries, in as many requests as its limit of points demands."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from forecasting.forecast import Floats
from forecasting.own_models.errors import PrometheusUnavailable
from forecasting.series_files import Series

#: Prometheus answers at most 11,000 points a series and query.
MOST_POINTS = 10_000
#: A series whose newest point is older than this share of the range asked for is no longer measured.
STALE_SHARE = 0.1
#: Written before a query to name its series: `checkout := sum(rate(…))`.
NAMED = ":="

RangeQuery = Callable[[str, float, float, float], list[dict[str, Any]]]
"""PromQL, first and last time, step → Prometheus' matrix, rows of `{"metric": labels, "values": [[time, text], …]}`."""


@dataclass(frozen=True, slots=True)
class Range:
    """What is asked for: `points` of each series, `step_s` apart, the last one at `end_s` (unix time)."""

    end_s: float
    step_s: float
    points: int

    @property
    def start_s(self) -> float:
        return self.end_s - (self.points - 1) * self.step_s

    @classmethod
    def of_days(cls, days: float, step_s: float, now_s: float) -> Range:
        """The newest `days` on a grid of whole steps, so that two calls within a step ask for the same."""
        return cls(math.floor(now_s / step_s) * step_s, step_s, max(2, round(days * 86_400.0 / step_s)))


def read_prometheus(ask: RangeQuery, queries: tuple[str, ...], asked: Range) -> tuple[Series, ...]:
    """All series that the queries find, NaN where Prometheus has no sample.

    Raises `PrometheusUnavailable` where a query finds none, or only such that are no longer measured.
    """
    return tuple(series for query in queries for series in _series_of(ask, query, asked))


def client_query(url: str, timeout_s: float, token: str | None = None) -> RangeQuery:
    """Range queries through prometheus-api-client; two retries, then `PrometheusUnavailable`."""
    import requests
    from prometheus_api_client import PrometheusConnect
    from prometheus_api_client.exceptions import PrometheusApiClientException
    from urllib3.util.retry import Retry

    if not url.startswith(("http://", "https://")):
        raise PrometheusUnavailable(f"{url}: give an address that starts with http:// or https://")
    headers = {"Authorization": f"Bearer {token}"} if token else None
    retry = Retry(total=2, backoff_factor=0.2, status_forcelist=(502, 503, 504), raise_on_status=False)
    connection = PrometheusConnect(url=url.rstrip("/"), headers=headers, retry=retry, timeout=timeout_s)

    def ask(query: str, start_s: float, end_s: float, step_s: float) -> list[dict[str, Any]]:
        start, end = (datetime.fromtimestamp(time_s, UTC) for time_s in (start_s, end_s))
        try:
            found: list[dict[str, Any]] = connection.custom_query_range(query, start, end, f"{step_s:g}")
        except requests.JSONDecodeError as error:
            raise PrometheusUnavailable(f"{url} does not answer like Prometheus: is the address right?") from error
        except requests.Timeout as error:
            raise PrometheusUnavailable(f"{url} did not answer within {timeout_s:g} s: ask for fewer days") from error
        except requests.RequestException as error:
            raise PrometheusUnavailable(f"{url} cannot be reached: {_reason(error)}") from error
        except PrometheusApiClientException as error:
            raise PrometheusUnavailable(f"{url} refused {query!r}: {error}") from error
        except (KeyError, TypeError) as error:
            raise PrometheusUnavailable(f"{url} answers {query!r} with no data") from error
        return found

    return ask


def _series_of(ask: RangeQuery, query: str, asked: Range) -> list[Series]:
    name, promql = _named(query)
    rows: dict[str, Floats] = {}
    for first, last in _chunks(asked.points):
        start_s, end_s = asked.start_s + first * asked.step_s, asked.start_s + last * asked.step_s
        for found in ask(promql, start_s, end_s, asked.step_s):
            row = rows.setdefault(_labelled(name, promql, found), np.full(asked.points, np.nan))
            _place(row, found, asked, promql)
    measured = {label: row for label, row in rows.items() if np.isfinite(row).any()}
    if not measured:
        raise PrometheusUnavailable(f"{promql!r} finds no sample in the time asked for: try it in Prometheus first")
    fresh = {label: row for label, row in measured.items() if _age_steps(row) <= STALE_SHARE * asked.points}
    if not fresh:
        age_h = min(_age_steps(row) for row in measured.values()) * asked.step_s / 3600.0
        raise PrometheusUnavailable(f"{promql!r} has had no sample for {age_h:.1f} h: is it still measured?")
    if name and len(fresh) == 1:
        fresh = {name: next(iter(fresh.values()))}
    return [Series(label, name or promql, row, asked.step_s, asked.start_s) for label, row in sorted(fresh.items())]


def _chunks(points: int) -> Iterator[tuple[int, int]]:
    """First and last point of each request."""
    for first in range(0, points, MOST_POINTS):
        yield first, min(first + MOST_POINTS, points) - 1


def _place(row: Floats, found: Mapping[str, Any], asked: Range, query: str) -> None:
    """Puts samples where they belong; `NaN`, `+Inf` and `-Inf` are samples of nothing."""
    try:
        samples = np.asarray([(float(time), float(text)) for time, text in found["values"]])
    except (KeyError, TypeError, ValueError) as error:
        raise PrometheusUnavailable(f"{query!r} does not give a range of numbers: {error}") from error
    if not samples.size:
        return
    place = np.round((samples[:, 0] - asked.start_s) / asked.step_s).astype(np.intp)
    inside = (place >= 0) & (place < row.size) & np.isfinite(samples[:, 1])
    row[place[inside]] = samples[inside, 1]


def _labelled(name: str | None, query: str, found: Mapping[str, Any]) -> str:
    """`checkout{pod="a"}`: what the query is called, and the labels that tell its series apart."""
    labels = dict(found.get("metric") or {})
    metric = labels.pop("__name__", None)
    inner = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    base = name or metric or ("" if inner else query)
    return f"{base}{{{inner}}}" if inner else base


def _named(query: str) -> tuple[str | None, str]:
    name, sign, promql = query.partition(NAMED)
    return (name.strip() or None, promql.strip()) if sign else (None, query.strip())


def _age_steps(row: Floats) -> int:
    return int(np.argmax(np.isfinite(row[::-1])))


def _reason(error: Exception) -> str:
    """The innermost cause, without the address that the message has already."""
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return type(cause).__name__
