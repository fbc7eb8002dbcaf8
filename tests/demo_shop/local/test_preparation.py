"""What the launcher settles before it starts anything: ports, folders, secrets, configuration."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest

from demo_shop.local.account import Account, private_file
from demo_shop.local.credentials import Credentials, CredentialsUnreadable, kept_credentials, random_credentials
from demo_shop.local.ground import FolderUnusable, Ground, locked, prepare
from demo_shop.local.ports import PortTaken, free_ports, shop_port
from demo_shop.local.programs import Program, safe_name
from demo_shop.local.role_plan import plan_roles
from demo_shop.stores.patroni import (
    FailoverSettings,
    Member,
    access_rules,
    bootstrap_sql,
    member_configuration,
    server_parameters,
)
from demo_shop.stores.redis_server import configuration


def test_free_ports_are_all_different() -> None:
    assert len(set(free_ports(20))) == 20


def test_a_port_in_use_is_refused_by_name_and_avoided_when_only_usual() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(PortTaken, match=f"--port {port}"):
            shop_port(port)
        assert shop_port(None, usual=port) != port


def test_a_temporary_folder_is_closed_to_others() -> None:
    ground = prepare(None, account=None)
    try:
        assert ground.is_temporary
        assert stat.S_IMODE(ground.data_dir.stat().st_mode) == 0o700
    finally:
        for inner in (ground.logs, ground.held, ground.data_dir):
            inner.rmdir()


def test_two_shops_never_share_a_folder(tmp_path: Path) -> None:
    first = prepare(tmp_path / "data", account=None)

    with locked(first), pytest.raises(FolderUnusable, match="another shop runs there"), locked(first):
        pass


def test_a_folder_that_the_stores_cannot_enter_is_refused_with_the_closed_parent(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    # Nobody has this number, so that neither owner nor group can let it in.
    with pytest.raises(FolderUnusable, match="cannot enter"):
        prepare(closed / "data", Account(uid=3_999_999_999, gid=3_999_999_999))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(FolderUnusable, match="choose another folder"):
        prepare(tmp_path / "file" / "data", account=None)


def test_credentials_are_kept_with_the_data_and_closed_to_others(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"

    made = kept_credentials(file)

    assert kept_credentials(file) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_every_secret_is_random_and_none_is_shown(tmp_path: Path) -> None:
    one, other = random_credentials(), random_credentials()
    words = [getattr(credentials, name) for credentials in (one, other) for name in Credentials.__slots__]

    assert len(set(words)) == 18
    assert all(len(word) >= 40 for word in words)
    assert not any(word in repr(one) + repr(one.of_stores()) for word in words)


@pytest.mark.parametrize("text", ["", "[]", '{"superuser": "x"}'])
def test_damaged_credentials_are_refused_with_the_files_name(tmp_path: Path, text: str) -> None:
    file = private_file(tmp_path / "credentials.json", text)

    with pytest.raises(CredentialsUnreadable, match=r"credentials\.json"):
        kept_credentials(file)


def test_patroni_wants_room_for_two_retries_in_the_life_of_the_key() -> None:
    # 4 + 2 · 8 = 20 fits; 5 + 2 · 8 = 21 does not.
    FailoverSettings(ttl_s=20, loop_wait_s=4, retry_timeout_s=8)

    with pytest.raises(ValueError, match="exceeds ttl_s = 20"):
        FailoverSettings(ttl_s=20, loop_wait_s=5, retry_timeout_s=8)
    with pytest.raises(ValueError, match="below 20"):
        FailoverSettings(ttl_s=19)


def patroni_file(durable: bool) -> dict[str, object]:
    return member_configuration(
        Member("postgres-1", 5432, 8008, Path("/data/pg"), Path("/data/pgpass")),
        random_credentials().of_stores(),
        FailoverSettings(),
        "127.0.0.1:2379",
        Path("/pg/bin"),
        Path("/data/bootstrap.sql"),
        durable,
    )


def test_copies_are_flushed_where_the_folder_outlives_the_machine() -> None:
    assert "no-sync" in json.dumps(patroni_file(durable=False))
    assert "no-sync" not in json.dumps(patroni_file(durable=True))


def test_commits_are_always_flushed_and_on_the_standby_first() -> None:
    parameters = server_parameters()
    dcs = patroni_file(durable=False)["bootstrap"]

    assert parameters["fsync"] is True
    assert parameters["synchronous_commit"] is True
    assert isinstance(dcs, dict)
    assert dcs["dcs"]["synchronous_mode"] is True


def test_nobody_comes_in_without_proving_a_password() -> None:
    assert all(rule.endswith(" scram-sha-256") for rule in access_rules("127.0.0.1/32"))


def test_the_owners_password_cannot_end_its_quotes() -> None:
    sql = bootstrap_sql(Credentials(*(["it's"] * 9)).of_stores())

    assert "PASSWORD 'it''s'" in sql


def test_redis_listens_on_loopback_with_a_password() -> None:
    lines = configuration(6379, Path("/data/redis"), "secret").splitlines()

    assert "bind 127.0.0.1" in lines
    assert 'requirepass "secret"' in lines
    assert "maxmemory-policy volatile-lru" in lines


def planned(tmp_path: Path, zones: int, with_faults: bool = False) -> dict[str, Program]:
    ground = Ground(tmp_path, "marker", None, is_temporary=True)
    programs = plan_roles(ground, random_credentials(), {"SHOP_REDIS_URL": "redis://x"}, zones, 8080, with_faults)
    return {program.name: program for program in programs}


def test_each_zone_is_a_whole_shop(tmp_path: Path) -> None:
    programs = planned(tmp_path, zones=2)

    assert len(programs) == 16
    assert programs["gateway-1"].environment["SHOP_PORT"] == "8080"
    assert {programs[name].environment["SHOP_ZONE"] for name in ("cart-1", "pricing-1")} == {"a"}
    assert {programs[name].environment["SHOP_ZONE"] for name in ("cart-2", "pricing-2")} == {"b"}


def test_every_role_knows_all_processes_of_the_others(tmp_path: Path) -> None:
    programs = planned(tmp_path, zones=2)

    upstream = programs["checkout-2"].environment["SHOP_UPSTREAM_INVENTORY"]

    assert upstream.split(",") == [programs["inventory-1"].facts["url"], programs["inventory-2"].facts["url"]]


def test_no_two_processes_share_a_port(tmp_path: Path) -> None:
    programs = planned(tmp_path, zones=2).values()

    ports = [p.environment[name] for p in programs for name in ("SHOP_PORT", "SHOP_MANAGEMENT_PORT")]

    assert len(set(ports)) == 32


def test_faults_need_to_be_asked_for_and_only_gateways_sign_sessions(tmp_path: Path) -> None:
    calm, hurt = planned(tmp_path, zones=1), planned(tmp_path, zones=1, with_faults=True)

    assert all("SHOP_FAULTS_TOKEN" not in program.environment for program in calm.values())
    assert all("SHOP_FAULTS_TOKEN" in program.environment for program in hurt.values())
    assert [name for name, p in calm.items() if "SHOP_SESSION_KEY" in p.environment] == ["gateway-1"]


def test_what_our_environment_says_of_another_shop_does_not_reach_the_roles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_FAULTS_TOKEN", "stray")
    monkeypatch.setenv("SHOP_REDIS_PASSWORD_FILE", "/nowhere")
    monkeypatch.setenv("SHOP_LOG_REQUESTS", "off")

    environment = planned(tmp_path, zones=1)["cart-1"].environment

    assert "SHOP_FAULTS_TOKEN" not in environment
    assert "SHOP_REDIS_PASSWORD_FILE" not in environment
    assert environment["SHOP_LOG_REQUESTS"] == "off"
    assert environment["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize("name", ["../etcd", "postgres-1/x", "", "Gateway-1", "a\nb"])
def test_names_that_could_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a process"):
        safe_name(name)
