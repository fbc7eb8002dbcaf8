"""Requests to the pods themselves: drains and brownout ceilings on their management port (docs/shop-contracts.md)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.actuators.targets import Endpoint

TIMEOUT_S = 2.0
LONGEST_TTL_S = 3600.0
CROWD = 16  # requests at a time
MOST_BYTES = 1_000_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any  # JSON, None where there was none


class PodHttp:
    """Plain HTTP to pod addresses, never through a Service. `check` is asked before each request that writes."""

    def __init__(self, check: Callable[[float], None], timeout_s: float = TIMEOUT_S) -> None:
        self.timeout_s = timeout_s
        self._check = check
        self._pool = urllib3.PoolManager(num_pools=64, maxsize=2, retries=False)

    def request(self, method: str, url: str, headers: dict[str, str] | None = None, body: object = None) -> Answer:
        """Raises `ActRefused`: `NOT_LEADING`, `UNREACHABLE`, or `NO_POD_ANSWERED` where there is no answer in time."""
        if method != "GET":
            self._check(self.timeout_s)
        sent = {"Accept": "application/json"} | ({} if body is None else {"Content-Type": "application/json"})
        try:
            response = self._pool.request(
                method,
                url,
                headers=sent | (headers or {}),
                body=None if body is None else json.dumps(body).encode(),
                timeout=urllib3.Timeout(total=self.timeout_s),
                redirect=False,
                preload_content=False,
            )
            try:
                text = response.read(MOST_BYTES)
            finally:
                response.release_conn()
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise ActRefused(RefusalReason.UNREACHABLE, f"{method} {url}: {error}") from error
        except (HTTPError, OSError) as error:
            raise ActRefused(RefusalReason.NO_POD_ANSWERED, f"{method} {url}: {error}") from error
        return Answer(response.status, _parsed(text))

    def close(self) -> None:
        self._pool.clear()


def control_headers(token_file: Path | None) -> dict[str, str]:
    """Read anew each time: mounted secrets are rotated. Raises `NO_CREDENTIALS`."""
    if token_file is None:
        raise ActRefused(RefusalReason.NO_CREDENTIALS, "no control token file is configured")
    try:
        token = token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ActRefused(RefusalReason.NO_CREDENTIALS, f"control token: {error}") from error
    if not token or not token.isprintable():
        raise ActRefused(RefusalReason.NO_CREDENTIALS, f"control token: {token_file} holds no token")
    return {"Authorization": f"Bearer {token}"}


def control(
    http: PodHttp, ip: str, endpoint: Endpoint, method: str, headers: dict[str, str], body: object = None
) -> Answer:
    """One control request to one pod. Raises `ActRefused` unless the answer is 200."""
    url = f"http://{_host(ip)}:{endpoint.port}{endpoint.path}"
    answer = http.request(method, url, headers, body)
    if answer.status == 200:
        return answer
    code = answer.body.get("code") if isinstance(answer.body, dict) else None
    reason = {
        401: RefusalReason.NO_CREDENTIALS,
        403: RefusalReason.CONTROL_OFF,
        404: RefusalReason.CONTROL_OFF,
        422: RefusalReason.INVALID,
    }.get(answer.status, RefusalReason.SERVER_ERROR)
    raise ActRefused(reason, f"{method} {url}: {answer.status} {code or ''}".strip())


def ttl_s(expires_at_s: float, now_s: float) -> float:
    """What is left of a span, within what the contract takes."""
    return min(LONGEST_TTL_S, max(1.0, expires_at_s - now_s))


def in_parallel(act: Callable[[T], ActRefused | None], items: Sequence[T]) -> list[ActRefused]:
    """What went wrong; pods that hang cost their time limit once, not one after the other."""
    with ThreadPoolExecutor(max_workers=min(CROWD, max(1, len(items)))) as crowd:
        return [refused for refused in crowd.map(act, items) if refused is not None]


def _host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
