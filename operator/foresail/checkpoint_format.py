"""The form of a checkpoint: one JSON value, packed, split to fit ConfigMaps, and proof that it is whole."""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

VERSION = 1
#: A ConfigMap holds 1 MiB with its names; etcd takes 1.5 MiB with everything around it.
PART_BYTES = 900 * 1024
#: More cannot be meant: unpacking something larger would cost the memory that the operator does not have.
MOST_BYTES = 256 * 1024 * 1024


class CheckpointDamaged(ValueError):
    """What is stored cannot be taken over: its text says why. Starting without it is safe."""


class Header(BaseModel):
    """What stands beside the first piece."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int
    epoch: int  # of the leader that wrote it
    written_at_s: float  # Unix time
    sha256: str  # of all pieces in order, as they are stored
    parts: tuple[int, ...]  # numbers of the ConfigMaps that hold the pieces after the first


@dataclass(frozen=True, slots=True)
class Packed:
    """A checkpoint as text pieces of at most `PART_BYTES`, at least one."""

    pieces: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return _digest(self.pieces)


def pack(value: Any, part_bytes: int = PART_BYTES) -> Packed:
    """`value` must be a JSON value; NaN and infinities are kept."""
    # gzip's default of 9 took five times as long as 6 for 2 % less.
    raw = json.dumps(value, separators=(",", ":")).encode()
    text = base64.b64encode(gzip.compress(raw, compresslevel=6, mtime=0)).decode()
    return Packed(tuple(text[start : start + part_bytes] for start in range(0, len(text), part_bytes)))


def unpack(pieces: Sequence[str], sha256: str) -> Any:
    """The value that was packed. Raises `CheckpointDamaged`."""
    if _digest(pieces) != sha256:
        raise CheckpointDamaged("its checksum does not match")
    try:
        packed = base64.b64decode("".join(pieces), validate=True)
        return json.loads(_unzipped(packed))
    except (binascii.Error, zlib.error, OSError, EOFError, ValueError) as error:
        raise CheckpointDamaged(f"it cannot be unpacked: {error}") from error


def header_of(text: str | None) -> Header:
    """The header of a stored checkpoint. Raises `CheckpointDamaged`, for a version that is not ours too."""
    if text is None:
        raise CheckpointDamaged("it has no header")
    try:
        header = Header.model_validate_json(text)
    except ValidationError as error:
        raise CheckpointDamaged(f"its header is not one: {error.error_count()} errors") from error
    if header.version != VERSION:
        raise CheckpointDamaged(f"it has version {header.version}, this operator reads version {VERSION}")
    return header


def _digest(pieces: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece.encode())
    return digest.hexdigest()


def _unzipped(packed: bytes) -> bytes:
    unzipper = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)  # 16: gzip's header and its checksum
    raw = unzipper.decompress(packed, MOST_BYTES)
    if unzipper.unconsumed_tail:
        raise CheckpointDamaged(f"it is larger than {MOST_BYTES >> 20} MiB")
    if not unzipper.eof:
        raise CheckpointDamaged("it ends too early")
    return raw
