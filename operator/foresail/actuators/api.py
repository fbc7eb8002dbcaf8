"""The API server as actuators use it: JSON in, JSON out, every write behind the fence, every failure named."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from foresail.actuators.refusals import ActRefused, RefusalReason

Json = dict[str, Any]
PAGE = 500  # objects per list request

_BY_STATUS = {
    401: RefusalReason.FORBIDDEN,
    403: RefusalReason.FORBIDDEN,
    404: RefusalReason.NOT_FOUND,
    409: RefusalReason.CONFLICT,
    400: RefusalReason.INVALID,
    422: RefusalReason.INVALID,
    429: RefusalReason.THROTTLED,
}


class Fence(Protocol):
    """Whether this process may still write, and in which term of leadership it does."""

    def may_write(self, timeout_s: float) -> bool:
        """Whether a request that takes up to `timeout_s` ends before anybody else may lead."""
        ...

    @property
    def epoch(self) -> int: ...


class Reader(Protocol):
    """Objects by their paths, as the API server or anybody else has them. Both raise `ActRefused`."""

    def get(self, path: str) -> Json: ...

    def items(self, path: str, labels: str = "") -> list[Json]:
        """All objects of a kind that carry `labels` (pairs, with commas between them)."""
        ...


class OpenFence:
    """For what anybody may do at any time: taking back what has expired."""

    epoch = 0

    def may_write(self, timeout_s: float) -> bool:
        return True


class Api:
    """All methods raise `ActRefused` and nothing else. `dry_run`: the server checks writes and stores nothing."""

    def __init__(
        self, api_client: client.ApiClient, fence: Fence, timeout_s: float = 5.0, dry_run: bool = False
    ) -> None:
        """The client must not try again by itself: a write that is repeated behind our back outlives the fence."""
        if api_client.configuration.retries not in (False, 0):
            raise ValueError("the API client retries by itself: set configuration.retries = False before it is made")
        self.fence, self.timeout_s, self.dry_run = fence, timeout_s, dry_run
        self._client = api_client

    def get(self, path: str) -> Json:
        return self._request("GET", path)

    def items(self, path: str, labels: str = "") -> list[Json]:
        """All objects of a kind that carry `labels` (a selector)."""
        found: list[Json] = []
        query = {"limit": str(PAGE)} | ({"labelSelector": labels} if labels else {})
        while True:
            page = self._request("GET", path, query)
            found.extend(page.get("items") or ())
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return found
            query = query | {"continue": more}

    def patch(self, path: str, operations: Sequence[Mapping[str, Any]]) -> Json:
        return self._write("PATCH", path, list(operations), "application/json-patch+json")

    def create(self, path: str, body: Json) -> Json:
        return self._write("POST", path, body, "application/json")

    def replace(self, path: str, body: Json) -> Json:
        return self._write("PUT", path, body, "application/json")

    def check_fence(self, timeout_s: float) -> None:
        """Raises unless a request of `timeout_s` that begins now ends within our lease."""
        if not self.fence.may_write(timeout_s):
            raise ActRefused(RefusalReason.NOT_LEADING, f"less than {timeout_s:g} s of the lease are left")

    def _write(self, method: str, path: str, body: object, content: str) -> Json:
        self.check_fence(self.timeout_s)
        return self._request(method, path, {"dryRun": "All"} if self.dry_run else {}, body, content)

    def _request(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: object = None, content: str = ""
    ) -> Json:
        headers = {"Accept": "application/json"} | ({"Content-Type": content} if content else {})
        what = f"{method} {path}"
        try:
            request = self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
            )
            response = self._client.call_api(*request, _request_timeout=self.timeout_s)
            text: bytes | None = response.read()  # type: ignore[no-untyped-call]
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise ActRefused(RefusalReason.UNREACHABLE, f"{what}: {error}") from error
        except (HTTPError, ApiException, OSError) as error:
            raise ActRefused(RefusalReason.UNANSWERED, f"{what}: {error}") from error
        answer = _parsed(text)
        if 200 <= response.status < 300:
            if answer is None:
                raise ActRefused(RefusalReason.UNANSWERED, f"{what}: {response.status} without JSON")
            return answer
        raise ActRefused(
            _reason(response.status, answer or {}), f"{what}: {response.status} {_message(answer)}".strip()
        )


def _parsed(text: bytes | None) -> Json | None:
    try:
        found = json.loads(text or b"")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _message(answer: Json | None) -> str:
    return "" if answer is None else str(answer.get("message", ""))


def _reason(status: int, answer: Json) -> RefusalReason:
    if status >= 500:
        return RefusalReason.SERVER_ERROR
    # A failed guard and a value that fails validation are both 422; only the latter names the object and its fields.
    if status == 422 and "is invalid" not in _message(answer) and not (answer.get("details") or {}).get("causes"):
        return RefusalReason.CHANGED_MEANWHILE
    return _BY_STATUS.get(status, RefusalReason.INVALID)
