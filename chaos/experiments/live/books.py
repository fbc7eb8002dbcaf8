"""The shop's books on a cluster, held against the ledger of a run when nothing is under way any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from psycopg.conninfo import make_conninfo

from chaos.clusters.cluster import ClusterFailed
from chaos.experiments.live.shop_places import ShopPlaces
from chaos.experiments.live.ways import Ways
from chaos.experiments.measured.orders import commits_of
from chaos.experiments.run_folder import Bookkeeping, RunFolder
from chaos.load.books import Books, BooksUnavailable
from chaos.load.books_database import read_books
from chaos.load.ledger import read_ledgers
from chaos.load.reconcile import settled

POSTGRES_PORT = 5432
SETTLES_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class ShopBooks:
    """`Bookkeeper`. A database that is failing over is asked again until the limit."""

    places: ShopPlaces
    ways: Ways
    limit_s: float = SETTLES_LIMIT_S
    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def settle(self, folder: RunFolder) -> Bookkeeping | None:
        newest = Books()

        def read() -> Books:
            nonlocal newest
            newest = self._read()
            return newest

        try:
            found = settled(read_ledgers([folder.ledger]), read, self.now_s, self.sleep, self.limit_s)
        except (BooksUnavailable, ClusterFailed):
            return None
        return Bookkeeping(found, commits_of(newest))

    def _read(self) -> Books:
        """By whichever member takes writes now, once it is there."""
        until_s = self.now_s() + self.limit_s
        while True:
            try:
                return read_books(self._address())
            except (BooksUnavailable, ClusterFailed):
                if self.now_s() >= until_s:
                    raise
                self.sleep(1.0)

    def _address(self) -> str:
        ports = [self.ways.port(f"{address}:{POSTGRES_PORT}") for address in self.places.database_members()]
        if not ports:
            raise BooksUnavailable("no pod of the shop's database has an address")
        return make_conninfo(
            host=",".join("127.0.0.1" for _ in ports),
            port=",".join(str(port) for port in ports),
            dbname="shop",
            user="shop",
            password=self.places.secret("database-password"),
        )
