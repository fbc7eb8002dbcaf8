"""The programs that the launcher runs, and where they are found."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LEAST_POSTGRES = 15


class ProgramsMissing(Exception):
    """Programs of the stores are not installed; the message says which and what installs them."""


@dataclass(frozen=True, slots=True)
class StorePrograms:
    """Paths of the stores' programs."""

    postgres_bin: Path
    patroni: Path
    etcd: Path
    redis_server: Path


@dataclass(frozen=True, slots=True)
class Program:
    """One process to keep running. `facts` is what others may know of it, for state.json."""

    name: str
    role: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)  # holds secrets
    folder: Path
    log: Path
    facts: Mapping[str, str | int]
    is_store: bool = False


def find_programs() -> StorePrograms:
    """Raises `ProgramsMissing` naming all that are missing."""
    postgres_bin = _postgres_bin(_postgres_candidates())
    found = {name: _which(name) for name in ("patroni", "etcd", "redis-server")}
    missing = [name for name, path in found.items() if path is None]
    if postgres_bin is None:
        missing.insert(0, f"postgres, initdb, pg_basebackup and pg_rewind (PostgreSQL {LEAST_POSTGRES} or newer)")
    patroni, etcd, redis_server = found["patroni"], found["etcd"], found["redis-server"]
    if postgres_bin is None or patroni is None or etcd is None or redis_server is None:
        raise ProgramsMissing(
            f"not found: {', '.join(missing)}. On Debian: sh demo_shop/local/install-stores.sh; elsewhere install "
            "PostgreSQL, Patroni with etcd3, etcd and Redis, and put them on PATH"
        )
    return StorePrograms(postgres_bin, patroni, etcd, redis_server)


def _which(name: str) -> Path | None:
    # Debian keeps some servers where only root's PATH looks.
    found = shutil.which(name) or shutil.which(name, path="/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin")
    return None if found is None else Path(found)


def _postgres_candidates() -> Iterable[Path]:
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    # Debian has one folder per major version and keeps it off PATH.
    debian = Path("/usr/lib/postgresql")
    versions = [path for path in debian.glob("*") if path.name.isdigit()] if debian.is_dir() else []
    for version in sorted(versions, key=lambda path: int(path.name), reverse=True):
        if int(version.name) >= LEAST_POSTGRES:
            yield version / "bin"


def _postgres_bin(candidates: Iterable[Path]) -> Path | None:
    needed = ("postgres", "initdb", "pg_ctl", "pg_basebackup", "pg_rewind", "pg_controldata", "psql")
    for folder in candidates:
        if all(os.access(folder / name, os.X_OK) for name in needed):
            return folder
    return None


def safe_name(name: str) -> str:
    """`name`, when it is one that a process of the shop can have; raises `ValueError` otherwise."""
    if not re.fullmatch(r"[a-z]+(-[0-9]+)?", name):
        raise ValueError(f"{name!r} is no name of a process; names are like gateway-1, postgres-2 or redis")
    return name
