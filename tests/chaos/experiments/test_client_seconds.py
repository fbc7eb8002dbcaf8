import numpy as np
import pytest

from chaos.experiments.measured.client_seconds import accounting, client_seconds
from chaos.load.records import Record, Verdict
from simulation.scoring.downtime import health
from simulation.scoring.scoreboard import latency_ms

BROWSE, SEARCH, CART, CHECKOUT = range(4)


@pytest.fixture
def seen(scenario):
    """What clients saw in a run of 300 s whose load began 120 s before t = 0."""
    return lambda *records: client_seconds(records, scenario(), zero_s=120.0)


def test_requests_are_counted_in_the_second_they_were_due_of_their_class(seen):
    client = seen(
        Record(120.4, "front", Verdict.OK, 200, latency_ms=80.0),
        Record(121.9, "product", Verdict.OK, 200, latency_ms=80.0),
        Record(121.9, "order", Verdict.FAILED, 503, latency_ms=80.0),
        Record(121.9, "cart-line", Verdict.OK, 200, latency_ms=80.0),
    )

    assert client.classes == ("browse", "search", "cart", "checkout")
    assert client.arrived[:, :2].tolist() == [[1, 1], [0, 0], [0, 1], [0, 1]]
    assert client.failed[CHECKOUT, 1] == 1


def test_the_warm_up_is_not_scored(seen):
    assert seen(Record(119.9, "front", Verdict.OK, 200), Record(420.0, "front", Verdict.OK, 200)).arrived.sum() == 0


def test_a_refusal_is_a_good_answer_and_a_skipped_request_a_bad_one(seen):
    client = seen(
        Record(120.0, "order", Verdict.REJECTED, 409),
        Record(120.0, "order", Verdict.SKIPPED),
        Record(120.0, "search", Verdict.SKIPPED),
    )

    assert (client.ok.sum(), client.failed.sum()) == (1, 2)


def test_what_was_never_sent_and_what_was_tried_again_never_arrived(seen):
    client = seen(Record(120.0, "order", Verdict.BLOCKED), Record(120.0, "order", Verdict.RETRIED, 503))

    assert client.arrived.sum() == 0


def test_slow_is_slower_than_the_scenarios_objective(seen):
    # 1 s unless the scenario says otherwise.
    client = seen(
        Record(120.0, "front", Verdict.OK, 200, latency_ms=999.0),
        Record(120.0, "front", Verdict.OK, 200, latency_ms=1001.0),
    )

    assert client.slow.sum() == 1


def test_a_class_may_have_an_objective_of_its_own(scenario):
    raw = scenario().topology.model_dump(mode="json")
    raw["classes"][SEARCH]["slo_s"] = 0.2
    whole = scenario(topology=raw)

    client = client_seconds([Record(0.0, "search", Verdict.OK, 200, latency_ms=300.0)], whole, 0.0)

    assert client.slow[SEARCH, 0] == 1


def test_latencies_are_of_good_answers_and_of_giving_up(seen):
    client = seen(
        *(Record(120.0, "front", Verdict.OK, 200, latency_ms=40.0) for _ in range(98)),
        Record(120.0, "front", Verdict.FAILED, 0, "timeout", latency_ms=5000.0),
        Record(120.0, "front", Verdict.FAILED, 0, "timeout", latency_ms=5000.0),
        Record(120.0, "front", Verdict.FAILED, 503, latency_ms=1.0),
    )

    assert client.latency_histogram.sum() == 100
    assert latency_ms(client, 0.5) == pytest.approx(40.0, rel=0.25)
    assert latency_ms(client, 0.995) == pytest.approx(5000.0, rel=0.25)


def test_what_was_left_out_of_pages_is_unknown(seen):
    assert seen(Record(120.0, "front", Verdict.OK, 200)).degraded is None


def test_the_same_rule_as_in_the_simulator_says_when_clients_were_down(seen):
    good = [
        Record(120.0 + s + i / 20, "front", Verdict.OK, 200, latency_ms=50.0) for s in range(300) for i in range(20)
    ]
    bad = [Record(220.0 + i / 5, "front", Verdict.FAILED, 503) for i in range(5)]

    # Five bad ones of 205 within ten seconds: down from the fifth on, t = 100, for as long as they are in the window.
    down = health(seen(*good, *bad)).down

    assert np.flatnonzero(down).tolist() == list(range(100, 110))


def test_the_books_of_requests_balance(seen):
    client = seen(Record(120.0, "front", Verdict.OK, 200), Record(120.0, "front", Verdict.FAILED, 503))

    told = accounting(client)

    assert (told.arrived, told.served, told.failed, told.in_flight) == (2, 1, 1, 0)
