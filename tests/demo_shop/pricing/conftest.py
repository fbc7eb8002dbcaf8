from typing import Any

import pytest

from demo_shop.settings import DatabaseSettings, database_from_environment


@pytest.fixture
def database_settings(stores: dict[str, Any]) -> DatabaseSettings:
    """Where the real PostgreSQL is."""
    database = stores["database"]
    return database_from_environment(
        {
            "SHOP_DATABASE_HOSTS": database["hosts"],
            "SHOP_DATABASE_NAME": database["name"],
            "SHOP_DATABASE_USER": database["user"],
            "SHOP_DATABASE_PASSWORD": database["password"],
        }
    )
