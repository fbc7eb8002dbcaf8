"""The stores of one shop: their folders, configuration files and programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from demo_shop.local.account import private_file, private_folder
from demo_shop.local.credentials import Credentials
from demo_shop.local.ground import Ground
from demo_shop.local.ports import free_ports
from demo_shop.local.programs import Program, StorePrograms
from demo_shop.stores import redis_server
from demo_shop.stores.patroni import DATABASE, OWNER, FailoverSettings, Member, bootstrap_sql, member_configuration

MEMBERS = 2


@dataclass(frozen=True, slots=True)
class StorePlan:
    """Everything that has to run before a role can work, and how to reach it."""

    etcd: Program
    redis: Program
    members: tuple[Program, ...]
    etcd_url: str
    redis_url: str
    database_hosts: str

    def all(self) -> tuple[Program, ...]:
        return (self.etcd, self.redis, *self.members)


def plan_stores(
    ground: Ground, programs: StorePrograms, credentials: Credentials, failover: FailoverSettings
) -> StorePlan:
    """Writes the configuration files; starts nothing."""
    client, peer, redis_port, *rest = free_ports(3 + 2 * MEMBERS)
    ports = [(rest[2 * index], rest[2 * index + 1]) for index in range(MEMBERS)]
    return StorePlan(
        etcd=_etcd(ground, programs.etcd, client, peer),
        redis=_redis(ground, programs.redis_server, redis_port, credentials.redis),
        members=tuple(
            _member(ground, programs, credentials, failover, f"127.0.0.1:{client}", number, *ports[number - 1])
            for number in range(1, MEMBERS + 1)
        ),
        etcd_url=f"http://127.0.0.1:{client}",
        redis_url=f"redis://127.0.0.1:{redis_port}/0",
        database_hosts=",".join(f"127.0.0.1:{port}" for port, _ in ports),
    )


def _etcd(ground: Ground, program: Path, client_port: int, peer_port: int) -> Program:
    folder = private_folder(ground.data_dir / "etcd", ground.account)
    client, peer = f"http://127.0.0.1:{client_port}", f"http://127.0.0.1:{peer_port}"
    options = {
        "name": "etcd",
        "data-dir": str(folder / "data"),
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"etcd={peer}",
        "logger": "zap",
        "log-level": "warn",
        "snapshot-count": "5000",
        "auto-compaction-mode": "revision",
        "auto-compaction-retention": "1000",
        # The password is random: a costly hash would only delay each login.
        "bcrypt-cost": "4",
    }
    return Program(
        name="etcd",
        role="etcd",
        command=(str(program), *(f"--{name}={value}" for name, value in options.items())),
        # A Go program takes what memory it likes unless told.
        environment={**ground.store_environment(folder), "GOGC": "50", "GOMAXPROCS": "2"},
        folder=folder,
        log=ground.logs / "etcd.log",
        facts={"url": client, "port": client_port, "data_dir": str(folder / "data")},
        is_store=True,
    )


def _redis(ground: Ground, program: Path, port: int, password: str) -> Program:
    folder = private_folder(ground.data_dir / "redis", ground.account)
    file = private_file(folder / "redis.conf", redis_server.configuration(port, folder, password), ground.account)
    return Program(
        name="redis",
        role="redis",
        command=(str(program), str(file)),
        environment=ground.store_environment(folder),
        folder=folder,
        log=ground.logs / "redis.log",
        facts={"port": port, "data_dir": str(folder)},
        is_store=True,
    )


def _member(
    ground: Ground,
    programs: StorePrograms,
    credentials: Credentials,
    failover: FailoverSettings,
    etcd_host: str,
    number: int,
    port: int,
    api_port: int,
) -> Program:
    name = f"postgres-{number}"
    folder = private_folder(ground.data_dir / name, ground.account)
    sql = private_file(folder / "bootstrap.sql", bootstrap_sql(credentials.of_stores()), ground.account)
    member = Member(name, port, api_port, data_dir=folder / "data", passfile=folder / "pgpass")
    configuration = member_configuration(
        member,
        credentials.of_stores(),
        failover,
        etcd_host,
        programs.postgres_bin,
        sql,
        durable=not ground.is_temporary,
    )
    file = private_file(folder / "patroni.json", json.dumps(configuration, indent=1), ground.account)
    return Program(
        name=name,
        role="postgres",
        command=(str(programs.patroni), str(file)),
        environment=ground.store_environment(folder),
        folder=folder,
        log=ground.logs / f"{name}.log",
        facts={
            "port": port,
            "patroni_url": f"http://127.0.0.1:{api_port}",
            "data_dir": str(member.data_dir),
        },
        is_store=True,
    )


def database_environment(plan: StorePlan, credentials: Credentials) -> dict[str, str]:
    """What `demo_shop.settings` reads to reach the stores."""
    return {
        "SHOP_DATABASE_HOSTS": plan.database_hosts,
        "SHOP_DATABASE_NAME": DATABASE,
        "SHOP_DATABASE_USER": OWNER,
        "SHOP_DATABASE_PASSWORD": credentials.owner,
        "SHOP_REDIS_URL": plan.redis_url,
        "SHOP_REDIS_PASSWORD": credentials.redis,
    }
