"""Options that take several words."""

from __future__ import annotations


def comma_list(text: str) -> tuple[str, ...]:
    """What is written with commas between, without what is empty."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
