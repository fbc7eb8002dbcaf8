"""The Lease object (coordination.k8s.io/v1): who holds it, and the three requests that an election needs."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

_CONFLICT, _NOT_FOUND = 409, 404


class LeaseUnavailable(Exception):
    """The API server did not answer, or not usefully. Whether a write happened is unknown."""


class LeaseConflict(Exception):
    """The Lease is not as it was read (or is there already, or is gone): somebody else was quicker."""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """What stands in a Lease. `renewed` is somebody's clock: it is compared for change, never with our own."""

    holder: str  # "" when released
    duration_s: float
    transitions: int
    acquired: str | None
    renewed: str | None
    version: str | None = None  # resourceVersion it was read at


class LeaseApi(Protocol):
    """All three raise `LeaseUnavailable`; `create` and `replace` raise `LeaseConflict`."""

    def read(self) -> LeaseRecord | None:
        """None: there is no such Lease."""
        ...

    def create(self, record: LeaseRecord) -> LeaseRecord: ...

    def replace(self, record: LeaseRecord) -> LeaseRecord:
        """Writes where the version is still `record.version`; answers with the new one."""
        ...


class KubernetesLease:
    """Implements `LeaseApi` over the official client."""

    def __init__(self, api: client.CoordinationV1Api, namespace: str, name: str, timeout_s: float) -> None:
        self._api, self._namespace, self._name, self._timeout_s = api, namespace, name, timeout_s

    def read(self) -> LeaseRecord | None:
        try:
            return _record(
                self._api.read_namespaced_lease(self._name, self._namespace, _request_timeout=self._timeout_s)
            )
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return None
            raise LeaseUnavailable(f"reading the Lease failed: {error.status} {error.reason}") from error
        except (HTTPError, OSError) as error:
            raise LeaseUnavailable(f"reading the Lease failed: {error}") from error

    def create(self, record: LeaseRecord) -> LeaseRecord:
        return self._write(
            lambda: self._api.create_namespaced_lease(
                self._namespace, self._body(record), _request_timeout=self._timeout_s
            )
        )

    def replace(self, record: LeaseRecord) -> LeaseRecord:
        return self._write(
            lambda: self._api.replace_namespaced_lease(
                self._name, self._namespace, self._body(record), _request_timeout=self._timeout_s
            )
        )

    def _write(self, request: Callable[[], client.V1Lease]) -> LeaseRecord:
        try:
            return _record(request())
        except ApiException as error:
            if error.status in (_CONFLICT, _NOT_FOUND):
                raise LeaseConflict(f"{error.status} {error.reason}") from error
            raise LeaseUnavailable(f"writing the Lease failed: {error.status} {error.reason}") from error
        except (HTTPError, OSError) as error:
            raise LeaseUnavailable(f"writing the Lease failed: {error}") from error

    def _body(self, record: LeaseRecord) -> Any:
        """The object as the API takes it. Times travel as text: rewriting one that was read must not change it."""
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._name,
                "namespace": self._namespace,
                **({} if record.version is None else {"resourceVersion": record.version}),
            },
            "spec": {
                "holderIdentity": record.holder,
                "leaseDurationSeconds": max(1, round(record.duration_s)),
                "leaseTransitions": record.transitions,
                "acquireTime": record.acquired,
                "renewTime": record.renewed,
            },
        }


def micro_time(unix_s: float) -> str:
    """A time as Leases and Events write it, RFC 3339 with microseconds: for people and other controllers.

    Never with none: the client parses times and writes them anew, then without a fraction, which the API refuses.
    """
    moment = datetime.datetime.fromtimestamp(unix_s, datetime.UTC)
    return moment.replace(microsecond=max(1, moment.microsecond)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _record(lease: client.V1Lease) -> LeaseRecord:
    spec = lease.spec or client.V1LeaseSpec()
    return LeaseRecord(
        holder=spec.holder_identity or "",
        duration_s=float(spec.lease_duration_seconds or 0),
        transitions=spec.lease_transitions or 0,
        acquired=_text(spec.acquire_time),
        renewed=_text(spec.renew_time),
        version=None if lease.metadata is None else lease.metadata.resource_version,
    )


def _text(moment: datetime.datetime | None) -> str | None:
    return None if moment is None else micro_time(moment.timestamp())
