"""The system account that the stores run as: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path


class NoAccount(Exception):
    """We are root and there is no account to run the stores as."""


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int


def stores_account(name: str = "postgres") -> Account | None:
    """Whom to run the stores as; None: as ourselves. Raises `NoAccount`."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise NoAccount(
            f"PostgreSQL refuses to run as root and there is no user {name!r}: install PostgreSQL's package, "
            "which makes it, or start the shop as another user"
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def give(path: Path, account: Account | None) -> Path:
    """The path, handed to the account."""
    if account is not None:
        os.chown(path, account.uid, account.gid)
    return path


def private_folder(path: Path, account: Account | None = None) -> Path:
    path.mkdir(mode=0o700, exist_ok=True)
    return give(path, account)


def private_file(path: Path, text: str, account: Account | None = None) -> Path:
    """A file that only its owner can read, replaced as a whole."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    give(draft, account)
    os.replace(draft, path)
    return path
