"""What is kept of decisions, and what is logged."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace

import pytest
from small_world import START_S, WEB, policies

from foresail.logs import DecisionLog, configure
from foresail.telemetry.journal import Journal
from foresail.tick_report import TickReport
from policies.decision import Decision, Reason, ReasonCode, SetFloor
from policies.memory import Memory
from policies.model import Mode, PolicySet

QUIET = (Reason(ReasonCode.DEMAND_FITS, {"demand_rps": 5.0}),)


def decision(at_s: float, *, acts: bool = False, reasons: tuple[Reason, ...] = QUIET) -> Decision:
    actions = (SetFloor(WEB, 4, START_S + 300.0),) if acts else ()
    return Decision(f"d{at_s:.0f}", START_S + at_s, WEB, Mode.ENFORCE, actions, reasons)


def report(one: Decision, declared: PolicySet | None = None, refused: bool = False) -> TickReport:
    writes = tuple((one.id, action) for action in one.actions) if refused else ()
    return TickReport(one.at_s, 0.1, False, declared or policies(), (one,), writes, Memory())


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    text = io.StringIO()
    handler = configure("INFO", text)
    yield text
    own = logging.getLogger("foresail")
    own.removeHandler(handler)
    own.propagate = True
    own.setLevel(logging.NOTSET)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_the_journal_keeps_acts_and_changes_newest_first() -> None:
    journal = Journal()
    other = (Reason(ReasonCode.NO_METRICS),)

    for one in (
        decision(0),
        decision(15),
        decision(30, acts=True),
        decision(45, acts=True),
        decision(60, reasons=other),
    ):
        journal.ticked(report(one))

    assert [entry["id"] for entry in journal.newest_first()] == ["d60", "d45", "d30", "d0"]


def test_of_one_workload_the_very_last_decision_comes_first() -> None:
    journal = Journal()
    for one in (decision(0), decision(15)):
        journal.ticked(report(one))

    assert [entry["id"] for entry in journal.newest_first(WEB)] == ["d15", "d0"]
    assert journal.newest_first("shop/none") == []


def test_the_journal_is_bounded() -> None:
    journal = Journal(most=3)

    for tick in range(9):
        journal.ticked(report(decision(tick, acts=True)))

    assert [entry["id"] for entry in journal.newest_first()] == ["d8", "d7", "d6"]


def test_an_entry_says_what_was_not_done() -> None:
    journal = Journal()

    journal.ticked(report(decision(0, acts=True), refused=True))

    entry = journal.newest_first()[0]
    [action] = entry["actions"]
    assert (action["kind"], action["text"], action["done"]) == ("SetFloor", "set the floor of shop/web to 4", False)
    assert action["values"]["workload"] == "shop/web" and action["values"]["floor"] == 4
    assert entry["sentence"].startswith("Set the floor of shop/web to 4")
    assert entry["at"] == "2027-01-15T08:00:00.000Z"


def test_numbers_that_json_lacks_become_unknown() -> None:
    journal = Journal()

    journal.ticked(report(decision(0, reasons=(Reason(ReasonCode.FAILURE_UNLIKELY, {"probability": float("nan")}),))))

    entry = journal.newest_first()[0]
    assert entry["reasons"][0]["facts"] == {"probability": None}
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry


def test_a_decision_is_logged_once_as_long_as_it_says_the_same(stream: io.StringIO) -> None:
    log = DecisionLog()

    for tick in range(5):
        log.ticked(report(decision(15.0 * tick)))
    log.ticked(report(decision(75, acts=True)))

    logged = [line["decision"] for line in lines(stream)]
    assert [one["id"] for one in logged] == ["d0", "d75"]  # type: ignore[index]


def test_a_record_is_one_json_object_with_its_fields(stream: io.StringIO) -> None:
    logging.getLogger("foresail.runner").warning(
        "something",
        extra={
            "lane": "slow",
            "thing": {
                1,
            },
        },
    )

    assert lines(stream)[0] | {"at": "now"} == {
        "at": "now", "level": "warning", "event": "something", "logger": "foresail.runner", "lane": "slow",
        "thing": "{1}",
    }  # fmt: skip


def test_an_exception_comes_with_its_traceback(stream: io.StringIO) -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        logging.getLogger("foresail.runner").exception("tick_failed")

    assert str(lines(stream)[0]["traceback"]).endswith("ValueError: wrong")


def test_configuring_twice_does_not_log_twice(stream: io.StringIO) -> None:
    handler = configure("INFO", stream)

    logging.getLogger("foresail.runner").info("once")

    assert len(lines(stream)) == 1
    logging.getLogger("foresail").removeHandler(handler)


def test_a_workload_without_policy_is_forgotten() -> None:
    journal = Journal()
    journal.ticked(report(decision(0)))

    journal.ticked(replace(report(decision(15), declared=PolicySet({})), decisions=()))

    assert [entry["id"] for entry in journal.newest_first(WEB)] == ["d0"]
