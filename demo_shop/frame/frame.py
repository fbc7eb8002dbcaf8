"""What one process of the shop is made of, put together once for its role.

The clients of stores and services are imported when a role asks for them: those of Redis alone take 20 MiB.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from zlib import crc32

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp

from demo_shop.faults.board import FaultBoard
from demo_shop.faults.catalogue import catalogue_of
from demo_shop.faults.effects import FaultEffects
from demo_shop.faults.layer import FaultLayer
from demo_shop.frame.background import Background, Work
from demo_shop.frame.drain import Drain
from demo_shop.frame.health import Check, Health
from demo_shop.frame.logs import Log
from demo_shop.frame.management import Managed, management_app
from demo_shop.frame.metrics import Metrics
from demo_shop.frame.outer_layer import OuterLayer
from demo_shop.frame.problems import answer_problems
from demo_shop.settings import Role, Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from demo_shop.frame.connections import Member
    from demo_shop.frame.database import Database
    from demo_shop.frame.upstream import Upstream


class Frame:
    """The shared parts of one process; a role's `create(frame)` takes what it needs before the start."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self.settings, self.log = settings, log
        self.metrics = Metrics()
        self.metrics.info.labels(settings.role.value, settings.pod, settings.zone or "").set(1.0)
        self.clock: Callable[[], float] = time.time
        self.health = Health(self.clock, self.metrics.registry)
        self.drain = Drain(self.clock, self.metrics.registry)
        self.health.unready_while(self.drain.why_not_ready)
        self.faults = FaultBoard(
            catalogue_of(settings.role), self.clock, self.metrics.registry, seed=crc32(settings.pod.encode())
        )
        self._background = Background(log)
        self._databases: dict[Member, Database] = {}
        self._upstreams: dict[Role, Upstream] = {}
        self._redis: Redis | None = None
        self._management_routes: list[Route] = []

    def primary(self) -> Database:
        """Connections to the member that takes writes."""
        return self._database("read-write")

    def replica(self) -> Database:
        """Connections for reading: to a standby where there is one, else to the primary."""
        return self._database("prefer-standby")

    def standby(self) -> Database:
        """Connections to a standby and to nothing else."""
        return self._database("standby")

    def redis(self) -> Redis:
        if self._redis is None:
            from demo_shop.frame.redis_store import open_redis

            self._redis = open_redis(self.settings)
        return self._redis

    def upstream(self, role: str) -> Upstream:
        key = Role(role)
        if key not in self._upstreams:
            from demo_shop.frame.upstream import Upstream

            self._upstreams[key] = Upstream(key.value, self.settings.upstreams[key], self.metrics)
        return self._upstreams[key]

    def background(self, name: str, work: Work) -> None:
        """Starts `work` with the process; it is started anew, after a pause that grows, when it fails."""
        self._background.add(name, work)

    def ready_when(self, name: str, check: Check) -> None:
        """The process is Ready only while `check` returns None; it returns or raises what is wrong."""
        self.health.ready_when(name, check)

    def report_when(self, name: str, check: Check) -> None:
        """Shown beside the readiness, without a say in it."""
        self.health.report_when(name, check)

    def manage(self, routes: Sequence[Route]) -> None:
        """More routes of the management listener; callers must carry the control token."""
        self._management_routes.extend(routes)

    def traffic(self, app: FastAPI) -> ASGIApp:
        """The role's app inside the layers that every service has."""
        answer_problems(app)
        return OuterLayer(
            FaultLayer(app, self.faults),
            self.metrics,
            self.log,
            self.drain,
            self.clock,
            log_requests=self.settings.log_requests,
        )

    def management(self) -> ASGIApp:
        """Health, metrics, drain, faults and what the role adds."""
        managed = Managed(
            registry=self.metrics.registry,
            health=self.health,
            drain=self.drain,
            faults=self.faults,
            control_token=self.settings.control_token,
            faults_token=self.settings.faults_token,
            before_scrape=self._measure,
            clock=self.clock,
        )
        return management_app(managed, self._management_routes)

    def _measure(self) -> None:
        for database in self._databases.values():
            database.measure()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Stores are open and background work goes on inside."""
        effects = FaultEffects(self.faults, self._pool_of_requests())
        self._background.add("fault effects", effects.run)
        self._background.add("health checks", self.health.watch)
        self._background.add("heartbeat", self.health.keep_beating)
        for database in self._databases.values():
            await database.open()
        self._background.start()
        try:
            yield
        finally:
            await self._background.stop()
            await asyncio.gather(*(upstream.close() for upstream in self._upstreams.values()))
            await asyncio.gather(*(database.close() for database in self._databases.values()))
            if self._redis is not None:
                await self._redis.aclose()

    def _pool_of_requests(self) -> Database | None:
        """The pool that most requests need, for the fault that empties it: losing another would hurt nobody."""
        member: Member = "prefer-standby" if self.settings.role is Role.CATALOG else "read-write"
        return self._databases.get(member) or next(iter(self._databases.values()), None)

    def _database(self, member: Member) -> Database:
        if member not in self._databases:
            from demo_shop.frame.database import Database

            self._databases[member] = Database(self.settings.database, member, self.metrics)
        return self._databases[member]
