"""PostgreSQL under Patroni: the configuration of one member, and the settings that all members share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

SCOPE = "shop"
DATABASE = "shop"
OWNER = "shop"
SUPERUSER = "postgres"
REPLICATOR = "replicator"


@dataclass(frozen=True, slots=True)
class FailoverSettings:
    """How soon the members give up on each other. Patroni wants loop_wait + 2 × retry_timeout <= ttl.

    ttl: 20 s is Patroni's least; a member that vanished keeps the leader's key for the rest of it.
    loop_wait: a killed postmaster is noticed after half of it on average.
    primary_start_timeout: 0 hands a crashed primary's work to the synchronous standby at once; both hold every
    acknowledged commit, and the crashed one comes back as the standby.
    """

    ttl_s: int = 20
    loop_wait_s: int = 2
    retry_timeout_s: int = 8
    primary_start_timeout_s: int = 0

    def __post_init__(self) -> None:
        if self.ttl_s < 20:
            raise ValueError(f"ttl_s: {self.ttl_s} is below 20, the least that Patroni takes")
        if self.loop_wait_s + 2 * self.retry_timeout_s > self.ttl_s:
            raise ValueError(
                f"loop_wait_s + 2 * retry_timeout_s = {self.loop_wait_s + 2 * self.retry_timeout_s} exceeds ttl_s "
                f"= {self.ttl_s}: a primary cut off from etcd would outlive its key; lower retry_timeout_s"
            )


@dataclass(frozen=True, slots=True)
class StorePasswords:
    """Of PostgreSQL's users, of Patroni's interface for changes, and of etcd's root."""

    superuser: str = field(repr=False)
    replicator: str = field(repr=False)
    owner: str = field(repr=False)
    patroni: str = field(repr=False)
    etcd: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Member:
    """One PostgreSQL server and the Patroni that minds it, on loopback."""

    name: str
    port: int
    api_port: int
    data_dir: Path
    passfile: Path
    hba_address: str = "127.0.0.1/32"


def shared_settings(failover: FailoverSettings) -> dict[str, object]:
    """What Patroni keeps in etcd for all members: only these can hold for `max_connections` and its like."""
    return {
        "ttl": failover.ttl_s,
        "loop_wait": failover.loop_wait_s,
        "retry_timeout": failover.retry_timeout_s,
        "primary_start_timeout": failover.primary_start_timeout_s,
        "maximum_lag_on_failover": 1048576,
        # Not strict: with the standby gone the shop goes on selling from one copy, and Patroni knows that it is one.
        "synchronous_mode": True,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "parameters": {
                "max_connections": 80,
                "max_worker_processes": 4,
                "max_wal_senders": 6,
                "max_replication_slots": 6,
                "max_locks_per_transaction": 64,
                "max_prepared_transactions": 0,
                "wal_level": "replica",
                "hot_standby": True,
            },
        },
    }


def server_parameters() -> dict[str, object]:
    """postgresql.conf of each member: small, durable, and quick to notice a lost peer."""
    return {
        "fsync": True,
        "full_page_writes": True,
        "synchronous_commit": True,
        "shared_buffers": "24MB",
        "work_mem": "2MB",
        "maintenance_work_mem": "16MB",
        "wal_buffers": "1MB",
        "min_wal_size": "64MB",
        "max_wal_size": "256MB",
        "wal_keep_size": "64MB",
        # A checkpoint before a switchover is short when little is dirty.
        "checkpoint_timeout": "2min",
        "max_parallel_workers": 0,
        "max_parallel_workers_per_gather": 0,
        "autovacuum_max_workers": 1,
        "autovacuum_naptime": "30s",
        "jit": False,
        "password_encryption": "scram-sha-256",
        # Reached over loopback only; segments are files of the data folder, so nothing stays behind elsewhere.
        "unix_socket_directories": "",
        "dynamic_shared_memory_type": "mmap",
        "wal_sender_timeout": "5s",
        "wal_receiver_timeout": "5s",
        "wal_receiver_status_interval": "1s",
        "wal_retrieve_retry_interval": "200ms",
        # Readers of the standby must neither be cancelled nor hold replay back for long.
        "hot_standby_feedback": True,
        "max_standby_streaming_delay": "1s",
        "tcp_keepalives_idle": 5,
        "tcp_keepalives_interval": 2,
        "tcp_keepalives_count": 3,
        "idle_in_transaction_session_timeout": "30s",
        "log_min_duration_statement": "500ms",
        "log_lock_waits": True,
        "logging_collector": False,
    }


def member_configuration(
    member: Member,
    passwords: StorePasswords,
    failover: FailoverSettings,
    etcd_host: str,
    bin_dir: Path,
    bootstrap_sql: Path,
    durable: bool,
) -> dict[str, object]:
    """Patroni's configuration file as a value (JSON is YAML). Not durable: fresh copies are not flushed to disk,
    for folders that are removed anyway when the machine goes down; commits always are."""
    no_sync = [] if durable else ["no-sync"]
    return {
        "scope": SCOPE,
        "name": member.name,
        "restapi": {
            "listen": f"127.0.0.1:{member.api_port}",
            "connect_address": f"127.0.0.1:{member.api_port}",
            "authentication": {"username": "patroni", "password": passwords.patroni},
        },
        "etcd3": {"host": etcd_host, "username": "root", "password": passwords.etcd},
        "bootstrap": {
            "dcs": shared_settings(failover),
            "initdb": ["data-checksums", {"encoding": "UTF8"}, {"locale": "C.UTF-8"}, *no_sync],
            "post_init": f"{bin_dir / 'psql'} --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --file={bootstrap_sql}",
        },
        "postgresql": {
            "listen": f"127.0.0.1:{member.port}",
            "connect_address": f"127.0.0.1:{member.port}",
            "data_dir": str(member.data_dir),
            "bin_dir": str(bin_dir),
            "pgpass": str(member.passfile),
            "authentication": {
                "superuser": {"username": SUPERUSER, "password": passwords.superuser},
                "replication": {"username": REPLICATOR, "password": passwords.replicator},
            },
            "parameters": server_parameters(),
            "pg_hba": access_rules(member.hba_address),
            "basebackup": [{"checkpoint": "fast"}, *no_sync],
            "remove_data_directory_on_rewind_failure": True,
            "remove_data_directory_on_diverged_timelines": True,
        },
        "watchdog": {"mode": "off"},
    }


def access_rules(address: str) -> Sequence[str]:
    """Who may connect from where; passwords are proven by SCRAM, never sent."""
    return [
        f"host {DATABASE} {OWNER} {address} scram-sha-256",
        f"host all {SUPERUSER} {address} scram-sha-256",
        f"host replication {REPLICATOR} {address} scram-sha-256",
    ]


def bootstrap_sql(passwords: StorePasswords) -> str:
    """Makes the shop's database and its owner; run once, by Patroni, right after initdb."""
    quoted = passwords.owner.replace("'", "''")
    return (
        "SET synchronous_commit TO local;\n"
        f"CREATE ROLE {OWNER} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '{quoted}';\n"
        f"CREATE DATABASE {DATABASE} OWNER {OWNER};\n"
    )
