"""Decisions as Kubernetes Events, written to a fake API server."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from fake_api import FakeApi
from kubernetes import client
from small_world import API, START_S, WEB

from foresail.event_posting import EventPoster
from foresail.events import EventRecorder, Reference, Told
from foresail.tick_report import TakeOver, TickReport
from policies.decision import Decision, Reason, ReasonCode, SetFloor
from policies.memory import Memory
from policies.model import Mode, PolicySet

OPERATOR = Reference("coordination.k8s.io/v1", "Lease", "foresail", "foresail")


def reference_of(workload: str) -> Reference | None:
    if workload == API:
        return None
    return Reference("apps/v1", "Deployment", *workload.split("/"), uid="u-1")


def decision(at_s: float = 0.0, mode: Mode = Mode.ENFORCE, workload: str = WEB) -> Decision:
    floor = (SetFloor(workload, 9, START_S + at_s + 300.0),)
    reasons = (Reason(ReasonCode.DEMAND_EXPECTED, {"demand_rps": 63.0}),)
    done, withheld = (floor, ()) if mode is Mode.ENFORCE else ((), floor)
    return Decision(f"d{at_s:.0f}", START_S + at_s, workload, mode, done, reasons, withheld=withheld)


def report(*decisions: Decision, refused: bool = False) -> TickReport:
    writes = tuple((one.id, action) for one in decisions for action in one.actions) if refused else ()
    return TickReport(START_S, 0.1, False, PolicySet({}), decisions, writes, Memory())


@pytest.fixture
def told() -> list[Told]:
    return []


@pytest.fixture
def recorder(told: list[Told]) -> EventRecorder:
    return EventRecorder(told.append, reference_of, OPERATOR)


def test_an_act_is_told_with_its_sentence_and_its_id(recorder: EventRecorder, told: list[Told]) -> None:
    recorder.ticked(report(decision()))

    assert len(told) == 1
    assert (told[0].reason, told[0].action, told[0].warning) == ("DemandExpected", "SetFloor", False)
    assert told[0].note.startswith("Set the floor of shop/web to 9: demand will need more pods")
    assert told[0].note.endswith("(d0)")


def test_what_is_only_recommended_says_so(recorder: EventRecorder, told: list[Told]) -> None:
    recorder.ticked(report(decision(mode=Mode.RECOMMEND)))

    assert told[0].action == "RecommendSetFloor" and "Would set the floor" in told[0].note


def test_a_refused_write_is_a_warning(recorder: EventRecorder, told: list[Told]) -> None:
    recorder.ticked(report(decision(), refused=True))

    assert told[0].warning and told[0].reason == "WriteRefused"


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(decision(mode=Mode.OBSERVE), id="in-observe"),
        pytest.param(replace(decision(), actions=()), id="nothing-done"),
        pytest.param(decision(workload=API), id="an-object-nobody-knows"),
    ],
)
def test_nothing_is_told(recorder: EventRecorder, told: list[Told], one: Decision) -> None:
    recorder.ticked(report(one))

    assert told == []


def test_the_same_within_ten_minutes_counts_up_and_is_written_once_a_minute(
    recorder: EventRecorder, told: list[Told]
) -> None:
    for tick in range(10):
        recorder.ticked(report(decision(15.0 * tick)))

    # New at 0 s, a series at 15 s, then at 75 s and 135 s.
    assert [(one.count, one.last_at_s - START_S) for one in told] == [(1, 0.0), (2, 15.0), (6, 75.0), (10, 135.0)]
    assert len({one.name for one in told}) == 1


def test_the_same_after_ten_minutes_of_silence_is_a_new_one(recorder: EventRecorder, told: list[Told]) -> None:
    recorder.ticked(report(decision(0.0)))
    recorder.ticked(report(decision(601.0)))

    assert [one.count for one in told] == [1, 1] and told[0].name != told[1].name


def test_a_start_without_memory_is_told_of_the_lease(recorder: EventRecorder, told: list[Told]) -> None:
    recorder.took_over(TakeOver(START_S, 3, None, "its checksum does not match"))
    recorder.took_over(TakeOver(START_S, 4, START_S))

    assert len(told) == 1 and told[0].regarding == OPERATOR and told[0].warning
    assert told[0].note == "Started without the last leader's memory: its checksum does not match."


def test_a_long_note_is_cut_to_what_the_api_takes(recorder: EventRecorder, told: list[Told]) -> None:
    recorder.took_over(TakeOver(START_S, 3, None, "x" * 3000))

    assert len(told[0].note) == 1024


def posted(api: FakeApi, *events: Told) -> EventPoster:
    poster = EventPoster(client.EventsV1Api(api.client()), "replica-a", timeout_s=2.0)
    poster.start()
    for event in events:
        poster.post(event)
    poster.stop(timeout_s=5.0)
    return poster


NEW = Told("web.1", Reference("apps/v1", "Deployment", "shop", "web", "u-1"), "DemandExpected", "SetFloor", "Did it.",
           False, START_S, START_S)  # fmt: skip
AGAIN = replace(NEW, count=2, last_at_s=START_S + 15.5)


def test_an_event_arrives_as_the_api_wants_it(fake_api: FakeApi) -> None:
    posted(fake_api, NEW)

    body = fake_api.writes[0].body
    assert fake_api.writes[0].line == "POST /apis/events.k8s.io/v1/namespaces/shop/events"
    # With microseconds, at a full second too: the API refuses times without.
    assert body["eventTime"] == "2027-01-15T08:00:00.000001+00:00" and body["type"] == "Normal"
    assert body["regarding"] == {
        "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "uid": "u-1",
    }  # fmt: skip
    assert body["reportingController"] == "foresail.dev/operator" and body["reportingInstance"] == "replica-a"


def test_of_a_series_only_the_series_changes(fake_api: FakeApi) -> None:
    posted(fake_api, NEW, AGAIN)

    assert fake_api.writes[1].method == "PATCH"
    assert fake_api.writes[1].body == {"series": {"count": 2, "lastObservedTime": "2027-01-15T08:00:15.500000Z"}}


def test_a_series_whose_event_was_collected_is_written_anew(fake_api: FakeApi) -> None:
    posted(fake_api, AGAIN)

    assert [write.method for write in fake_api.writes] == ["PATCH", "POST"]
    assert fake_api.writes[1].body["series"]["count"] == 2


def test_an_event_that_cannot_be_written_is_counted_and_forgotten(
    fake_api: FakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    fake_api.forbid("create", "events")

    with caplog.at_level(logging.WARNING):
        poster = posted(fake_api, NEW, NEW)

    assert poster.dropped == 2 and "event_not_written" in caplog.messages


def test_what_does_not_fit_is_dropped_and_never_waited_for(fake_api: FakeApi) -> None:
    poster = EventPoster(client.EventsV1Api(fake_api.client()), "replica-a", timeout_s=2.0, most=2)

    for _ in range(5):
        poster.post(NEW)

    assert poster.dropped == 3
