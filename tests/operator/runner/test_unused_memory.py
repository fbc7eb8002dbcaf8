from __future__ import annotations

from typing import Any

import pytest

from foresail import unused_memory


class Library:
    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def malloc_trim(self, kept: int) -> None:
        self.asked.append(("trim", kept))

    def mallopt(self, option: int, value: int) -> None:
        self.asked.append((option, value))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    found = Library()
    monkeypatch.setattr(unused_memory, "_library", lambda: found)
    return found


def test_the_c_library_is_asked_for_all_it_keeps(library: Library) -> None:
    unused_memory.give_back()

    assert library.asked == [("trim", 0)]


def test_threads_share_two_heaps(library: Library) -> None:
    unused_memory.keep_together()

    assert library.asked == [(-8, 2)]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unused_memory, "_library", lambda: None)

    unused_memory.keep_together()
    unused_memory.give_back()
