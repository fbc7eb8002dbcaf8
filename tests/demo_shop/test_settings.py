from pathlib import Path

import pytest

from demo_shop.settings import Role, SettingInvalid, Settings


def test_a_service_needs_only_its_role() -> None:
    settings = Settings.from_environment({"SHOP_ROLE": "catalog"})
    assert settings.role is Role.CATALOG
    assert (settings.host, settings.port, settings.management_port) == ("127.0.0.1", 8080, 9090)
    assert settings.upstreams[Role.PRICING] == ("http://pricing:8080",)
    assert settings.control_token is None and settings.faults_token is None


def test_all_members_of_the_database_are_named_in_one_connection() -> None:
    settings = Settings.from_environment({"SHOP_ROLE": "cart", "SHOP_DATABASE_HOSTS": "db-1:5432, db-2:5433"})
    arguments = settings.database.conninfo("read-write")
    assert (arguments["host"], arguments["port"]) == ("db-1,db-2", "5432,5433")
    assert arguments["target_session_attrs"] == "read-write"


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    environment = {"SHOP_ROLE": "cart", "SHOP_DATABASE_PASSWORD_FILE": str(tmp_path / "password")}
    settings = Settings.from_environment(environment)
    assert settings.database.password == "s3cret"
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"SHOP_ROLE": "till"}, "SHOP_ROLE"),
        ({}, "SHOP_ROLE"),
        ({"SHOP_ROLE": "cart", "SHOP_PORT": "eighty"}, "SHOP_PORT"),
        ({"SHOP_ROLE": "cart", "SHOP_PORT": "70000"}, "SHOP_PORT"),
        ({"SHOP_ROLE": "cart", "SHOP_DRAIN_S": "-1"}, "SHOP_DRAIN_S"),
        ({"SHOP_ROLE": "cart", "SHOP_DRAIN_S": "nan"}, "SHOP_DRAIN_S"),
        ({"SHOP_ROLE": "cart", "SHOP_DATABASE_HOSTS": "db"}, "SHOP_DATABASE_HOSTS"),
        ({"SHOP_ROLE": "cart", "SHOP_UPSTREAM_PAYMENT": "payment:80"}, "SHOP_UPSTREAM_PAYMENT"),
        ({"SHOP_ROLE": "cart", "SHOP_REDIS_PASSWORD_FILE": "/nowhere"}, "SHOP_REDIS_PASSWORD_FILE"),
        ({"SHOP_ROLE": "gateway"}, "SHOP_SESSION_KEY"),
        ({"SHOP_ROLE": "gateway", "SHOP_SESSION_KEY": "short"}, "SHOP_SESSION_KEY"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(wrong: dict[str, str], named: str) -> None:
    with pytest.raises(SettingInvalid, match=f"^{named}"):
        Settings.from_environment(wrong)


def test_session_keys_rotate_newest_first() -> None:
    settings = Settings.from_environment({"SHOP_ROLE": "gateway", "SHOP_SESSION_KEY": f"{'n' * 32},{'o' * 32}"})
    assert settings.session_keys == ("n" * 32, "o" * 32)
