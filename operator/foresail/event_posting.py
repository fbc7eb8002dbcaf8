"""Writes Events to the API in a thread of its own: a server that answers slowly must not hold up a tick."""

from __future__ import annotations

import logging
import queue
import threading
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from foresail.events import Reference, Told
from foresail.leadership.lease import micro_time

log = logging.getLogger("foresail.events")

CONTROLLER = "foresail.dev/operator"
_MOST_WAITING = 512


class EventPoster:
    """`post` never waits; what does not fit any more is dropped and counted. Events are news, not state."""

    def __init__(self, api: client.EventsV1Api, instance: str, timeout_s: float, most: int = _MOST_WAITING) -> None:
        self.dropped = 0
        self._api, self._instance, self._timeout_s = api, instance[:128], timeout_s
        self._waiting: queue.Queue[Told | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._run, name="foresail-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def post(self, told: Told) -> None:
        try:
            self._waiting.put_nowait(told)
        except queue.Full:
            self.dropped += 1

    def stop(self, timeout_s: float) -> None:
        """Writes what waits, as far as the time reaches."""
        if self._thread.is_alive():
            try:
                self._waiting.put(None, timeout=timeout_s)
            except queue.Full:
                return
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while (told := self._waiting.get()) is not None:
            try:
                self._write(told)
            except (ApiException, HTTPError, OSError) as error:
                self.dropped += 1
                log.warning("event_not_written", extra={"event_name": told.name, "problem": str(error)[:300]})
            except Exception:
                self.dropped += 1
                log.exception("event_not_written")

    def _write(self, told: Told) -> None:
        namespace = told.regarding.namespace
        if told.count == 1:
            self._api.create_namespaced_event(namespace, self._body(told), _request_timeout=self._timeout_s)
            return
        # Of an Event that stands the API lets only the series change.
        series = {"series": {"count": told.count, "lastObservedTime": micro_time(told.last_at_s)}}
        try:
            self._api.patch_namespaced_event(told.name, namespace, series, _request_timeout=self._timeout_s)
        except ApiException as error:
            if error.status != 404:
                raise
            # It has been collected meanwhile (they live for an hour), or never arrived.
            body: Any = {**self._body(told), **series}
            self._api.create_namespaced_event(namespace, body, _request_timeout=self._timeout_s)

    def _body(self, told: Told) -> Any:
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": told.name, "namespace": told.regarding.namespace},
            "eventTime": micro_time(told.first_at_s),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": told.action,
            "reason": told.reason,
            "note": told.note,
            "type": "Warning" if told.warning else "Normal",
            "regarding": _reference(told.regarding),
        }


def _reference(regarding: Reference) -> dict[str, str]:
    reference = {
        "apiVersion": regarding.api_version,
        "kind": regarding.kind,
        "namespace": regarding.namespace,
        "name": regarding.name,
    }
    return reference if regarding.uid is None else {**reference, "uid": regarding.uid}
