"""The folder that one shop lives in: made, locked, and reachable for the stores."""

from __future__ import annotations

import fcntl
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo_shop.local.account import Account
from demo_shop.local.leftovers import MARKER


class FolderUnusable(Exception):
    """The data folder cannot be used; the message names it and the way out."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a shop lives and as whom its stores run."""

    data_dir: Path
    marker: str
    account: Account | None
    is_temporary: bool

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def held(self) -> Path:
        """A file here with a process's name keeps it from being started again: a member that is gone stays gone."""
        return self.data_dir / "held"

    def is_held(self, name: str) -> bool:
        return (self.held / name).exists()

    def store_environment(self, folder: Path) -> dict[str, str]:
        """A clean environment: nothing of a virtual environment reaches Debian's Python."""
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            MARKER: self.marker,
        }


def prepare(data_dir: Path | None, account: Account | None) -> Ground:
    """The ground of a shop; a temporary folder when none is named. Raises `FolderUnusable`."""
    wanted = Path(tempfile.gettempdir()) if data_dir is None else data_dir.absolute()
    closed = None if account is None else _closed_to(account, wanted / "new" if data_dir is None else wanted)
    if closed is not None:
        raise FolderUnusable(
            f"--data-dir {wanted}: the stores run as another user, who cannot enter {closed}; choose a folder whose "
            "parents all may enter, such as one in /tmp or /var/lib (TMPDIR sets where temporary ones are made)"
        )
    try:
        folder = wanted if data_dir is not None else Path(tempfile.mkdtemp(prefix="foresail-shop-"))
        folder.mkdir(parents=True, exist_ok=True)
        # Others may pass through to their own folders when the stores run as another user; nobody may look around.
        folder.chmod(0o700 if account is None else 0o711)
        ground = Ground(folder.resolve(), secrets.token_hex(16), account, is_temporary=data_dir is None)
        for inner in (ground.logs, ground.held):
            inner.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise FolderUnusable(f"--data-dir {wanted}: cannot be made ready ({error}); choose another folder") from error
    return ground


@contextmanager
def locked(ground: Ground) -> Iterator[None]:
    """Two shops never share a folder. Raises `FolderUnusable`."""
    with open(ground.data_dir / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FolderUnusable(f"--data-dir {ground.data_dir}: another shop runs there; stop it first") from None
        yield


def _closed_to(account: Account, folder: Path) -> Path | None:
    """The folder's first parent that the account may not pass through; the folder itself is opened for it later."""
    for part in reversed(folder.resolve().parents):
        if not part.exists():
            return None
        status = part.stat()
        if status.st_uid == account.uid:
            needed = stat.S_IXUSR
        elif status.st_gid == account.gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not status.st_mode & needed:
            return part
    return None
