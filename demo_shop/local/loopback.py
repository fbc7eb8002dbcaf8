"""Small HTTP questions to the processes of the shop; nothing else of HTTP is needed here."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from urllib.parse import urlsplit


def status_of(url: str, timeout_s: float = 1.0) -> int | None:
    """The status that GET of the address answers; None when nothing answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", parts.path or "/", headers={"Connection": "close"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def post(
    url: str, body: Mapping[str, object], authorization: str | None = None, timeout_s: float = 5.0
) -> tuple[int, dict[str, object]]:
    """Status and JSON of the answer. Raises `OSError` when nothing answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    headers = {"Content-Type": "application/json", "Connection": "close"}
    if authorization is not None:
        headers["Authorization"] = authorization
    try:
        connection.request("POST", parts.path, json.dumps(dict(body)), headers)
        answer = connection.getresponse()
        text = answer.read()
        try:
            content = json.loads(text)
        except ValueError:
            content = None
        return answer.status, content if isinstance(content, dict) else {}
    except http.client.HTTPException as error:
        raise OSError(f"{url}: {error}") from error
    finally:
        connection.close()
