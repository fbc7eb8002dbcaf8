"""Every secret of one shop: random, made at its first start, kept with its data."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from demo_shop.local.account import private_file
from demo_shop.stores.patroni import StorePasswords


class CredentialsUnreadable(Exception):
    """The data folder's credentials are damaged; the message names the file and the way out."""


@dataclass(frozen=True, slots=True)
class Credentials:
    superuser: str = field(repr=False)
    replicator: str = field(repr=False)
    owner: str = field(repr=False)
    patroni: str = field(repr=False)
    etcd: str = field(repr=False)
    redis: str = field(repr=False)
    session_key: str = field(repr=False)
    control_token: str = field(repr=False)
    faults_token: str = field(repr=False)

    def of_stores(self) -> StorePasswords:
        return StorePasswords(
            superuser=self.superuser,
            replicator=self.replicator,
            owner=self.owner,
            patroni=self.patroni,
            etcd=self.etcd,
        )


def random_credentials() -> Credentials:
    return Credentials(*(secrets.token_urlsafe(32) for _ in fields(Credentials)))


def kept_credentials(file: Path) -> Credentials:
    """Those of the data folder; made now when it is new. Raises `CredentialsUnreadable`."""
    if not file.exists():
        made = random_credentials()
        private_file(file, json.dumps(asdict(made), indent=1))
        return made
    try:
        return Credentials(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError, OSError) as error:
        raise CredentialsUnreadable(
            f"{file}: not the credentials of a shop ({error}); restore the file or begin with an empty --data-dir"
        ) from error
