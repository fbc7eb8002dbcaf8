"""Lists and watches as plain JSON, over the official client, whose models would cost many times the memory."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.watch.watch import iter_resp_lines
from urllib3.exceptions import HTTPError, ReadTimeoutError

from foresail.objects.errors import ApiAway, Gone, NotServed, ObjectsError, Refused
from foresail.objects.fields import Json, at, entries, text, whole


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """page: objects per answer, so that no answer becomes huge. connect_s, read_s: of a list.

    watch_s: the server ends a watch after this. silence_s: a watch that says nothing for so long is taken for dead and
    opened anew: bookmarks come about every minute, but not where the server never had an object of that kind.
    """

    page: int = 500
    connect_s: float = 5.0
    read_s: float = 20.0
    watch_s: int = 300
    silence_s: float = 150.0


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the objects of a path, and the version of the whole list, from which to watch on."""

    items: tuple[Json, ...]
    version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a watch."""

    type: str  # ADDED, MODIFIED, DELETED or BOOKMARK
    object: Json
    version: str | None


@dataclass(slots=True)
class WatchStream:
    """Events of one watch, until the server ends it. `cut` may come from another thread."""

    _response: Any
    _closed: bool = field(default=False)
    fell_silent: bool = field(default=False)

    def __iter__(self) -> Iterator[Event]:
        """Ends when it fell silent, too: only opening it anew tells a dead one from one with nothing to tell.

        Raises `Gone`, or `ApiAway` where the connection broke.
        """
        try:
            for line in iter_resp_lines(self._response):  # type: ignore[no-untyped-call]
                if line:
                    yield _event(line)
        except (ReadTimeoutError, TimeoutError):
            self.fell_silent = True
        except (HTTPError, OSError, ValueError, AttributeError) as error:
            # A response that was cut while it was being read fails in any of these ways.
            if not self._closed:
                raise ApiAway(f"the watch broke: {error!r}") from error

    def cut(self) -> None:
        """Ends a read that waits."""
        self._closed = True
        standing = _socket(self._response)
        if standing is not None:
            with contextlib.suppress(OSError):
                standing.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(HTTPError, OSError, ValueError):
            self._response.close()


class ApiReading:
    """Reads paths of the API. Safe to use from many threads."""

    def __init__(self, client: ApiClient, settings: ReadSettings) -> None:
        self._client = client
        self._settings = settings

    def pages(self, path: str) -> Iterator[Page]:
        """Every object, a page at a time, so that few are in memory as JSON at once.

        Raises `ObjectsError`; `Gone` where a later page had expired.
        """
        token: str | None = None
        while True:
            query = [("limit", str(self._settings.page)), *([("continue", token)] if token else [])]
            answer = self._get(path, query, self._settings.read_s)
            try:
                body = json.loads(_read(answer))
            except ValueError as error:
                raise ApiAway(f"{path} answered no JSON: {error}") from error
            version = text(body, "metadata", "resourceVersion")
            if version is None:
                raise ApiAway(f"{path} answered no list")
            yield Page(entries(body, "items"), version)
            token = text(body, "metadata", "continue")
            if token is None:
                return

    def object(self, path: str) -> Json:
        """One object. Raises `ObjectsError`; `NotServed` where there is none."""
        try:
            body = json.loads(_read(self._get(path, [], self._settings.read_s)))
        except ValueError as error:
            raise ApiAway(f"{path} answered no JSON: {error}") from error
        if not isinstance(body, dict):
            raise ApiAway(f"{path} answered no object")
        return body

    def watch(self, path: str, version: str) -> WatchStream:
        """What happens after `version`."""
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(self._settings.watch_s)),
        ]
        answer = self._get(path, query, self._settings.read_s)
        # The headers come at once; only events may be waited for.
        standing = _socket(answer)
        if standing is not None:
            standing.settimeout(self._settings.silence_s)
        return WatchStream(answer)

    def _get(self, path: str, query: list[tuple[str, str]], read_s: float) -> Any:
        try:
            request = self._client.param_serialize(
                method="GET",
                resource_path=path,
                query_params=query,
                header_params={"Accept": "application/json"},
                auth_settings=["BearerToken"],
            )
            answer = self._client.call_api(*request, _request_timeout=(self._settings.connect_s, read_s)).response
        except (HTTPError, OSError, ApiException) as error:
            raise ApiAway(f"{path}: {error!r}") from error
        if answer.status != 200:
            raise _refusal(answer.status, _read(answer), path)
        return answer


def _socket(answer: Any) -> socket.socket | None:
    """Under an answer that is still being read."""
    found = getattr(getattr(answer, "connection", None), "sock", None)
    return found if isinstance(found, socket.socket) else None


def _read(answer: Any) -> bytes:
    try:
        return bytes(answer.read())
    except (HTTPError, OSError) as error:
        raise ApiAway(f"the answer broke off: {error!r}") from error
    finally:
        answer.release_conn()


def _refusal(status: int, body: bytes, path: str) -> ObjectsError:
    try:
        message = text(json.loads(body), "message") or ""
    except ValueError:
        message = ""
    said = f"{path} answered {status} {message}".rstrip()
    if status == 410:
        return Gone(said)
    if status == 404:
        return NotServed(said)
    if status in (408, 429) or status >= 500:
        return ApiAway(said)
    return Refused(said)


def _event(line: str) -> Event:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise ApiAway(f"the watch said something that is no JSON: {error}") from error
    kind, described = text(value, "type"), at(value, "object")
    if kind == "ERROR":
        code, message = whole(described, "code"), text(described, "message") or "the watch ended with an error"
        raise Gone(message) if code == 410 or text(described, "reason") == "Expired" else ApiAway(message)
    if kind is None or not isinstance(described, dict):
        raise ApiAway("the watch said something that is no event")
    return Event(kind, described, text(described, "metadata", "resourceVersion"))
