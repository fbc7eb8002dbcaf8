"""Asks Patroni's members how they are, every few seconds, in a thread of its own."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from foresail.objects.fields import Json, entries, text
from foresail.objects.object_state import TERMINAL, ObjectState
from foresail.objects.patroni_view import DatabaseTarget, MemberAnswers, MemberPlace, Positions, database_seen
from foresail.objects.records import PodRecord
from foresail.objects.workload_views import zone_of
from policies.model import DatabaseSeen

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """period_s: between two rounds. timeout_s: of one request. threads: requests at a time. stale_s: an older view is
    not shown, since a primary may have moved meanwhile."""

    period_s: float = 3.0
    timeout_s: float = 1.0
    threads: int = 8
    stale_s: float = 15.0


class DatabaseWatch:
    """`look` asks once; `start` goes on asking. `seen` answers at once."""

    def __init__(
        self,
        targets: Callable[[], Sequence[DatabaseTarget]],
        objects: Callable[[], ObjectState | None],
        settings: DatabaseSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._targets = targets
        self._objects = objects
        self._settings = settings or DatabaseSettings()
        self._clock = clock
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(total=self._settings.timeout_s), retries=False, maxsize=self._settings.threads
        )
        self._pool = ThreadPoolExecutor(self._settings.threads, thread_name_prefix="patroni")
        self._positions: dict[str, Positions] = {}
        self._seen: tuple[float, tuple[DatabaseSeen, ...]] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="databases", daemon=True)

    def seen(self, now_s: float) -> tuple[DatabaseSeen, ...]:
        """The newest view; databases that nobody could describe are not in it."""
        if self._seen is None or now_s - self._seen[0] > self._settings.stale_s:
            return ()
        return self._seen[1]

    def look(self) -> tuple[DatabaseSeen, ...]:
        """Asks every member of every database, at most `timeout_s` for each of two questions."""
        state = self._objects()
        found = []
        for target in self._targets():
            places, addresses = _places(target, state)
            answers = self._ask(addresses) if addresses else self._ask_by_url(target)
            # Answers took their time: the positions in them are of now, not of when the round began.
            before = self._positions.get(target.name, Positions())
            seen, self._positions[target.name] = database_seen(target, answers, places, before, self._clock())
            if seen is not None:
                found.append(seen)
        self._seen = (self._clock(), tuple(found))
        return tuple(found)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(4.0 * self._settings.timeout_s)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._http.clear()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:  # noqa: BLE001 - a thread that dies would leave a view that never changes
                _log.exception("databases_error")
            self._stop.wait(self._settings.period_s)

    def _ask(self, addresses: Mapping[str | None, str]) -> list[MemberAnswers]:
        """All questions at once."""
        asked = [
            (member, self._pool.submit(self._get, f"{url}/patroni"), self._pool.submit(self._get, f"{url}/cluster"))
            for member, url in addresses.items()
        ]
        return [MemberAnswers(member, own.result(), cluster.result()) for member, own, cluster in asked]

    def _ask_by_url(self, target: DatabaseTarget) -> list[MemberAnswers]:
        """One member leads to the others."""
        if target.url is None:
            return []
        cluster = self._get(f"{target.url.rstrip('/')}/cluster")
        urls = {
            text(member, "name"): f"{split.scheme}://{split.netloc}"
            for member in entries(cluster, "members")
            if (split := urlsplit(text(member, "api_url") or "")).scheme in ("http", "https") and split.netloc
        }
        return [MemberAnswers(None, None, cluster), *self._ask(urls)]

    def _get(self, url: str) -> Json | None:
        try:
            answer = self._http.request("GET", url)
            body = json.loads(answer.data) if answer.status == 200 else None
        except (HTTPError, OSError, ValueError):
            return None
        return body if isinstance(body, dict) else None


def _places(target: DatabaseTarget, state: ObjectState | None) -> tuple[dict[str, MemberPlace], dict[str | None, str]]:
    """Where the members' pods run, and where each of them answers."""
    if state is None:
        return {}, {}
    pods = _members(target, state)
    zones = {node.meta.name: zone_of(node) for node in state.nodes.values()}
    places = {pod.meta.name: MemberPlace(pod.node, None if pod.node is None else zones.get(pod.node)) for pod in pods}
    addresses: dict[str | None, str] = {
        pod.meta.name: f"http://{url_host(pod.ip)}:{target.port}"
        for pod in pods
        if pod.ip is not None and not pod.deleting
    }
    return places, addresses


def _members(target: DatabaseTarget, state: ObjectState) -> Sequence[PodRecord]:
    """A cluster may be spread over several workloads, one for each member: then labels tell what belongs together."""
    namespace = target.workload.partition("/")[0]
    labelled = [
        pod
        for pod in state.pods.values()
        if target.members
        and pod.meta.namespace == namespace
        and pod.phase not in TERMINAL
        and target.members.items() <= pod.meta.labels.items()
    ]
    workload = state.workloads.get(target.workload)
    return labelled or (() if workload is None else workload.pods)


def url_host(ip: str) -> str:
    """An address as URLs write it: IPv6 in brackets."""
    return f"[{ip}]" if ":" in ip else ip
