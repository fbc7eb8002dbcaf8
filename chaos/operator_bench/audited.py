"""What a service account asked of the API server, counted from the audit log of a test cluster."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any


def requests(lines: Iterable[str], account: str, since_s: float, until_s: float) -> dict[str, Counter[str]]:
    """By pod of the account: how often each "VERB RESOURCE" was asked for between two moments (Unix time).

    A watch counts when it is opened. Lines that are no requests, or only half written yet, are passed over.
    """
    found: dict[str, Counter[str]] = {}
    seen: set[str] = set()
    for line in lines:
        event = _event(line)
        if event is None or event["auditID"] in seen or event["user"]["username"] != account:
            continue
        seen.add(event["auditID"])
        if since_s <= _moment(event["requestReceivedTimestamp"]) < until_s:
            found.setdefault(_pod(event["user"]), Counter())[_what(event)] += 1
    return found


def without_lease(asked: Counter[str]) -> Counter[str]:
    """Leading costs a renewal every two seconds, whatever is watched."""
    return Counter({what: times for what, times in asked.items() if not what.endswith(" leases")})


def _event(line: str) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and {"auditID", "user", "verb"} <= event.keys() else None


def _moment(shown: str) -> float:
    return datetime.fromisoformat(shown).timestamp()


def _pod(user: dict[str, Any]) -> str:
    names = (user.get("extra") or {}).get("authentication.kubernetes.io/pod-name") or ("unknown",)
    return str(names[0])


def _what(event: dict[str, Any]) -> str:
    resource = event.get("objectRef") or {}
    parts = [part for part in (resource.get("resource"), resource.get("subresource")) if part]
    return f"{event['verb']} {'/'.join(parts) or event.get('requestURI', '')}"
