"""Sentences of a long command, each with how long it runs by now."""

from __future__ import annotations

import time
from collections.abc import Callable

import typer


def said_with_time(*, silent: bool = False, err: bool = False) -> Callable[[str], None]:
    """`err`: to stderr, where a command's output is for programs."""
    begun_s = time.monotonic()

    def say(sentence: str) -> None:
        if not silent:
            typer.echo(f"{time.monotonic() - begun_s:7.1f} s  {sentence}", err=err)

    return say
