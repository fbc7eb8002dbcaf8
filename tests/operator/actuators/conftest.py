"""The stage on which acts are tried."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from act_stage import Stage, furnish
from fake_api import FakeApi


@pytest.fixture
def stage(fake_api: FakeApi) -> Iterator[Stage]:
    furnish(fake_api)
    made = Stage(fake_api)
    yield made
    for cluster in made.opened:
        cluster.close()
