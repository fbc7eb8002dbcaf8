"""Shared by the operator's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_api import FakeApi


@pytest.fixture
def fake_api() -> Iterator[FakeApi]:
    """An empty cluster's API server on loopback."""
    api = FakeApi()
    yield api
    api.close()
