"""What the leader remembers, kept in ConfigMaps so that its successor goes on where it was.

`foresail-checkpoint-0` holds the header and the first piece; the header names the ConfigMaps with the rest. Those are
written first, under numbers that the stored header does not use, so that what is stored is always whole.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from foresail.checkpoint_format import (
    PART_BYTES,
    VERSION,
    CheckpointDamaged,
    Header,
    Packed,
    header_of,
    pack,
    unpack,
)

log = logging.getLogger("foresail.checkpoint")

PREFIX = "foresail-checkpoint"
LABELS = {"app.kubernetes.io/managed-by": "foresail", "foresail.dev/part": "checkpoint"}
_NOT_FOUND, _CONFLICT = 404, 409


class Fence(Protocol):
    """Whether this replica may still write, and as which leader in the row."""

    def may_write(self, timeout_s: float) -> bool: ...

    @property
    def epoch(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Restored:
    """A checkpoint as found. `value` None: there is none, or it is of no use, which `problem` then says."""

    value: Any = None
    epoch: int = 0
    written_at_s: float | None = None
    problem: str | None = None


class CheckpointUnavailable(Exception):
    """The API server did not answer; whether there is a checkpoint is unknown. Worth another try."""


class CheckpointStore:
    """Reads and writes the checkpoint of one installation. Writes only as the leader, never over a later leader's."""

    def __init__(
        self,
        api: client.CoreV1Api,
        namespace: str,
        fence: Fence,
        timeout_s: float,
        part_bytes: int = PART_BYTES,
    ) -> None:
        self._api, self._namespace, self._fence = api, namespace, fence
        self._timeout_s, self._part_bytes = timeout_s, part_bytes
        # A Lease that was deleted counts from one again: what we took over may be written over all the same.
        self._taken_over_epoch = 0

    def read(self) -> Restored:
        """What the last leader left. Damage is told, never raised; raises `CheckpointUnavailable` without an answer."""
        head = self._read(0)
        if head is None:
            return Restored()
        data = head.data or {}
        try:
            header = header_of(data.get("header"))
            pieces = [data.get("part", ""), *(self._piece(number) for number in header.parts)]
            value = unpack(pieces, header.sha256)
        except CheckpointDamaged as error:
            return Restored(problem=str(error))
        self._taken_over_epoch = header.epoch
        return Restored(value, header.epoch, header.written_at_s)

    def write(self, value: Any, now_s: float) -> bool:
        """Whether it is stored now. False: not the leader any more, another one wrote, or no answer; logged."""
        packed = pack(value, self._part_bytes)
        try:
            return self._write(packed, now_s)
        except (ApiException, HTTPError, OSError, CheckpointUnavailable) as error:
            log.warning("checkpoint_not_written", extra={"problem": _said(error)})
            return False

    def _write(self, packed: Packed, now_s: float) -> bool:
        head = self._read(0)
        before = _header_or_none(head)
        if before is not None and before.epoch > max(self._fence.epoch, self._taken_over_epoch):
            log.warning("checkpoint_not_written", extra={"problem": f"leader {before.epoch} has written one since"})
            return False
        used = set() if before is None else set(before.parts)
        numbers = _unused(used, len(packed.pieces) - 1)
        for number, piece in zip(numbers, packed.pieces[1:], strict=True):
            if not self._put(number, {"part": piece}, self._read(number)):
                return False
        header = Header(
            version=VERSION, epoch=self._fence.epoch, written_at_s=now_s, sha256=packed.sha256, parts=numbers
        )
        if not self._put(0, {"header": header.model_dump_json(), "part": packed.pieces[0]}, head):
            return False
        self._remove(used)
        return True

    def _put(self, number: int, data: dict[str, str], found: client.V1ConfigMap | None) -> bool:
        """Creates or replaces what was `found`, where it is still as it was found and we still lead."""
        if not self._fence.may_write(self._timeout_s):
            log.warning("checkpoint_not_written", extra={"problem": "this replica leads no more"})
            return False
        meta = client.V1ObjectMeta(name=f"{PREFIX}-{number}", namespace=self._namespace, labels=LABELS)
        body = client.V1ConfigMap(api_version="v1", kind="ConfigMap", metadata=meta, data=data)
        if found is None:
            self._api.create_namespaced_config_map(self._namespace, body, _request_timeout=self._timeout_s)
        else:
            meta.resource_version = None if found.metadata is None else found.metadata.resource_version
            self._api.replace_namespaced_config_map(
                f"{PREFIX}-{number}", self._namespace, body, _request_timeout=self._timeout_s
            )
        return True

    def _remove(self, numbers: set[int]) -> None:
        for number in sorted(numbers):
            if not self._fence.may_write(self._timeout_s):
                return
            try:
                self._api.delete_namespaced_config_map(
                    f"{PREFIX}-{number}", self._namespace, _request_timeout=self._timeout_s
                )
            except ApiException as error:
                if error.status != _NOT_FOUND:
                    raise

    def _piece(self, number: int) -> str:
        found = self._read(number)
        if found is None:
            raise CheckpointDamaged(f"{PREFIX}-{number} is missing")
        return (found.data or {}).get("part", "")

    def _read(self, number: int) -> client.V1ConfigMap | None:
        try:
            return self._api.read_namespaced_config_map(
                f"{PREFIX}-{number}", self._namespace, _request_timeout=self._timeout_s
            )
        except ApiException as error:
            if error.status == _NOT_FOUND:
                return None
            raise CheckpointUnavailable(_said(error)) from error
        except (HTTPError, OSError) as error:
            raise CheckpointUnavailable(_said(error)) from error


def _header_or_none(head: client.V1ConfigMap | None) -> Header | None:
    """The stored header; None where there is none or a broken one, which may be written over."""
    if head is None:
        return None
    try:
        return header_of((head.data or {}).get("header"))
    except CheckpointDamaged:
        return None


def _unused(used: set[int], count: int) -> tuple[int, ...]:
    numbers: list[int] = []
    candidate = 1
    while len(numbers) < count:
        if candidate not in used:
            numbers.append(candidate)
        candidate += 1
    return tuple(numbers)


def _said(error: Exception) -> str:
    if isinstance(error, ApiException):
        return "somebody else wrote it meanwhile" if error.status == _CONFLICT else f"{error.status} {error.reason}"
    return str(error)
