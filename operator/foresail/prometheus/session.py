"""HTTP under the Prometheus client: a total time limit, a bound on size, and a check of the envelope of each answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from requests.auth import AuthBase, HTTPBasicAuth
from urllib3.exceptions import HTTPError, ReadTimeoutError

from foresail.prometheus.reasons import QueryFailed, UnknownReason
from foresail.prometheus.settings import Connection

_CHUNK_BYTES = 1 << 16
#: Warnings that begin so are remarks about the expression; any other says that data is missing (Thanos, Mimir).
_REMARK = ("PromQL warning", "PromQL info")


class CheckedResponse(requests.Response):
    """A successful answer of Prometheus, parsed once."""

    def __init__(self, envelope: Mapping[str, Any]) -> None:
        super().__init__()
        self.status_code = 200
        self._envelope = envelope

    def json(self, **_: Any) -> Any:
        return self._envelope


class BoundedSession(requests.Session):
    """Raises `QueryFailed` for everything that is not a successful answer of the type that was asked for.

    A POST carries its parameters in the body: the client library puts them into the address, which proxies cut off.
    """

    def __init__(self, connection: Connection, monotonic: Callable[[], float], wall_clock: Callable[[], float]) -> None:
        super().__init__()
        self.trust_env = False  # neither proxies nor a .netrc of whoever starts us
        self.verify = str(connection.ca_file) if connection.ca_file is not None else connection.verify_tls
        if connection.cert_file is not None:
            cert, key = str(connection.cert_file), connection.key_file
            self.cert = cert if key is None else (cert, str(key))
        self.headers.update(connection.headers)
        self._connection, self._monotonic, self._wall_clock = connection, monotonic, wall_clock

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        params = options.pop("params", None) or {}
        wanted = "matrix" if str(url).endswith("query_range") else "vector"
        options |= {"stream": True, "allow_redirects": False, "auth": _credentials(self._connection)}
        options["data" if method == "POST" else "params"] = params
        timeout_s = float(options.get("timeout") or self._connection.timeout_s)
        options["timeout"] = timeout_s
        until_s = self._monotonic() + timeout_s
        try:
            with super().request(method, url, *args, **options) as response:
                body = self._body(response, until_s)
        except (requests.exceptions.Timeout, ReadTimeoutError) as error:
            raise QueryFailed(UnknownReason.TIMED_OUT, f"after {timeout_s:g} s") from error
        except (requests.exceptions.RequestException, HTTPError) as error:
            raise QueryFailed(UnknownReason.UNREACHABLE, type(error).__name__) from error
        envelope = _envelope(response, body)
        self._check_date(response)
        _check_warnings(envelope)
        _check_type(envelope, wanted)
        return CheckedResponse(envelope)

    def _body(self, response: requests.Response, until_s: float) -> bytes:
        """Timeouts of sockets start anew with every byte, so a slow drip is bounded here."""
        most = self._connection.largest_answer_bytes
        chunks, size = [], 0
        # read1 gives what is there; anything else waits until a chunk is full.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            size += len(chunk)
            if size > most:
                raise QueryFailed(UnknownReason.TOO_LARGE, f"more than {most} bytes")
            if self._monotonic() > until_s:
                raise QueryFailed(UnknownReason.TIMED_OUT, f"{size} bytes had come")
            chunks.append(chunk)
        return b"".join(chunks)

    def _check_date(self, response: requests.Response) -> None:
        try:
            served_at_s = parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
        except (TypeError, ValueError):
            return  # without a date nothing can be said
        skew_s = served_at_s - self._wall_clock()
        if abs(skew_s) > self._connection.clock_skew_s:
            raise QueryFailed(UnknownReason.CLOCK_SKEW, f"{skew_s:+.0f} s")


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Nobody(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _credentials(connection: Connection) -> AuthBase:
    try:
        if connection.bearer_token_file is not None:
            return _Bearer(connection.bearer_token_file.read_text().strip())
        if connection.username is not None and connection.password_file is not None:
            return HTTPBasicAuth(connection.username, connection.password_file.read_text().strip())
    except (OSError, UnicodeDecodeError) as error:
        raise QueryFailed(UnknownReason.CREDENTIALS, str(error)) from error
    return _Nobody()


def _envelope(response: requests.Response, body: bytes) -> Mapping[str, Any]:
    envelope = _parsed(body)
    if isinstance(envelope, dict) and envelope.get("status") == "error":
        raise QueryFailed(UnknownReason.REFUSED, f"{envelope.get('errorType')}: {envelope.get('error')}"[:300])
    if response.status_code != 200:
        raise QueryFailed(UnknownReason.HTTP_STATUS, str(response.status_code))
    if envelope is None:
        raise QueryFailed(UnknownReason.NOT_JSON, response.headers.get("Content-Type", "no type"))
    if not isinstance(envelope, dict) or envelope.get("status") != "success":
        raise QueryFailed(UnknownReason.MALFORMED, "no status success")
    return envelope


def _parsed(body: bytes) -> Any:
    """None where it is no JSON at all."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _check_warnings(envelope: Mapping[str, Any]) -> None:
    warnings = envelope.get("warnings")
    missing = [text for text in warnings if not str(text).startswith(_REMARK)] if isinstance(warnings, list) else []
    if missing:
        raise QueryFailed(UnknownReason.PARTIAL, str(missing[0])[:300])


def _check_type(envelope: Mapping[str, Any], wanted: str) -> None:
    data = envelope.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("result"), list):
        raise QueryFailed(UnknownReason.MALFORMED, "no data.result")
    if data.get("resultType") != wanted:
        raise QueryFailed(UnknownReason.WRONG_TYPE, f"{data.get('resultType')} instead of {wanted}")
