"""The client's own account of its orders: what it asked for, what was answered, what it may rely on.

One JSON object a line, written before and after each attempt and never changed, so that a killed client loses at most
the line it was writing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class LedgerInvalid(Exception):
    """A ledger that cannot be read; the message names file and line."""


class Outcome(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    REJECTED = "rejected"
    UNKNOWN = "unknown"  # the client gave up, or died, without an answer that settles it


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending of an order. Times are seconds since the epoch; status 0 means that no answer came."""

    due_at: float
    sent_at: float
    answered_at: float
    status: int
    error: str | None


@dataclass(frozen=True, slots=True)
class LedgerOrder:
    """An order as its client knows it."""

    key: str
    cart: str
    customer: str
    lines: tuple[tuple[int, int], ...]  # product id, quantity
    synthetic: bool
    expected_total_cents: int | None
    attempts: tuple[Attempt, ...]
    outcome: Outcome
    reason: str | None
    order_id: str | None
    total_cents: int | None


class Ledger:
    """The writing side. Each line goes to the operating system whole, before the call returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if not _ends_whole(path):
            os.write(self._file, b"\n")  # after a torn last line, begin on one of our own

    def close(self) -> None:
        os.close(self._file)

    def ordered(
        self,
        key: str,
        cart: str,
        customer: str,
        lines: Iterable[tuple[int, int]],
        synthetic: bool,
        expected_total_cents: int | None,
    ) -> None:
        """The order is about to be sent for the first time."""
        self._write(
            event="order",
            key=key,
            cart=cart,
            customer=customer,
            lines=[list(line) for line in lines],
            synthetic=synthetic,
            expected_total_cents=expected_total_cents,
        )

    def attempted(self, key: str, attempt: Attempt) -> None:
        self._write(
            event="attempt",
            key=key,
            due_at=round(attempt.due_at, 4),
            sent_at=round(attempt.sent_at, 4),
            answered_at=round(attempt.answered_at, 4),
            status=attempt.status,
            error=attempt.error,
        )

    def settled(
        self,
        key: str,
        outcome: Outcome,
        reason: str | None = None,
        order_id: str | None = None,
        total_cents: int | None = None,
    ) -> None:
        """The client knows, or gives up."""
        self._write(
            event="outcome", key=key, outcome=outcome, reason=reason, order_id=order_id, total_cents=total_cents
        )

    def _write(self, **line: Any) -> None:
        text = (json.dumps(line, separators=(",", ":")) + "\n").encode()
        while text:
            text = text[os.write(self._file, text) :]


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def read_ledgers(paths: Iterable[Path]) -> tuple[LedgerOrder, ...]:
    """The orders of all the files. Raises `LedgerInvalid`; torn lines, which a killed client leaves, are skipped."""
    orders: dict[str, _Folded] = {}
    for path in paths:
        for number, line in _lines(path):
            try:
                _fold(orders, line)
            except (KeyError, TypeError, ValueError) as error:
                raise LedgerInvalid(f"{path}: line {number}: not a line of a ledger: {error!r}") from None
    return tuple(folded.order() for folded in orders.values())


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise LedgerInvalid(f"{path}: cannot be read: {error.strerror}") from None
    for number, raw in enumerate(text.split(b"\n"), start=1):
        try:
            line = json.loads(raw)
        except ValueError:
            if raw and not raw.startswith(b"{"):
                raise LedgerInvalid(f"{path}: line {number}: not JSON: give the file of a load run") from None
            continue  # empty, or torn where the client was killed
        if not isinstance(line, dict):
            raise LedgerInvalid(f"{path}: line {number}: not a line of a ledger: give the file of a load run")
        yield number, line


@dataclass(slots=True)
class _Folded:
    head: Mapping[str, Any]
    attempts: list[Attempt] = field(default_factory=list)
    settled: Mapping[str, Any] = field(default_factory=dict)

    def order(self) -> LedgerOrder:
        head, settled = self.head, self.settled
        return LedgerOrder(
            key=str(head["key"]),
            cart=str(head["cart"]),
            customer=str(head["customer"]),
            lines=tuple((int(product), int(quantity)) for product, quantity in head["lines"]),
            synthetic=bool(head["synthetic"]),
            expected_total_cents=head["expected_total_cents"],
            attempts=tuple(self.attempts),
            outcome=Outcome(settled.get("outcome", Outcome.UNKNOWN)),
            reason=settled.get("reason", None if settled else "the client ended before an answer came"),
            order_id=settled.get("order_id"),
            total_cents=settled.get("total_cents"),
        )


def _fold(orders: dict[str, _Folded], line: dict[str, Any]) -> None:
    key, event = str(line["key"]), line["event"]
    if event == "order":
        if key in orders:
            raise ValueError(f"the key {key} was used twice: give each run a ledger of its own")
        orders[key] = _Folded(line)
        orders[key].order()  # checks it while the line is known
    elif event == "attempt":
        orders[key].attempts.append(
            Attempt(
                float(line["due_at"]),
                float(line["sent_at"]),
                float(line["answered_at"]),
                int(line["status"]),
                line["error"],
            )
        )
    elif event == "outcome":
        Outcome(line["outcome"])
        orders[key].settled = line
    else:
        raise ValueError(f"no such event: {event!r}")
