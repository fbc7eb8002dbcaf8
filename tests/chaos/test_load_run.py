"""The load against a small shop, in the process of its own that it always runs in."""

import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pytest

from chaos.load.catalogue import CatalogueUnavailable, ask_catalogue
from chaos.load.ledger import LedgerInvalid, Outcome, read_ledgers
from chaos.load.mix import mix_named
from chaos.load.plan import LoadPlan, PlanInvalid, job_of
from chaos.load.probe import ProbePlan
from chaos.load.records import Verdict, read_records
from chaos.load.run import LoadFailed, drawn, run_load
from chaos.load.shapes import shaped
from chaos.load.target import Target, TargetRefused
from chaos.load.visitor import Patience


def plan(shop, tmp_path, rps=60.0, duration_s=1.0, mix="shop", **options):
    return LoadPlan(
        url=shop.url,
        shape=shaped("constant", rps, duration_s, 1),
        out=tmp_path / "out",
        ledger=tmp_path / "ledger.jsonl",
        mix=mix_named(mix),
        **options,
    )


def test_every_planned_request_is_sent_and_answered(fake_shop, tmp_path):
    summary = run_load(plan(fake_shop, tmp_path))

    assert summary.offered == summary.sent > 0
    assert (summary.failed, summary.skipped, summary.blocked, summary.unfinished) == (0, 0, 0, 0)
    # Two questions about the catalogue come before the load.
    assert len(fake_shop.paths) - 2 == summary.sent
    assert sum(figures.count for figures in summary.by_operation.values()) == summary.sent
    assert summary.downtime_s == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == json.loads(json.dumps(summary.as_json()))


def test_the_same_seed_sends_the_same_requests(fake_shop, tmp_path):
    run_load(plan(fake_shop, tmp_path / "a", mix="browse", seed=5))
    first, fake_shop.paths = fake_shop.paths, []
    run_load(plan(fake_shop, tmp_path / "b", mix="browse", seed=5))

    # Requests that are close together may overtake each other on the way.
    assert Counter(first) == Counter(fake_shop.paths)


def test_acknowledged_orders_are_in_the_ledger(fake_shop, tmp_path):
    summary = run_load(plan(fake_shop, tmp_path, mix="orders"))

    orders = read_ledgers([tmp_path / "ledger.jsonl"])
    assert summary.orders.attempted == summary.orders.acknowledged == len(orders) > 0
    assert {order.key for order in orders} == set(fake_shop.sendings)
    assert all(order.outcome is Outcome.ACKNOWLEDGED for order in orders)
    assert all(order.order_id == f"order-of-{order.key}" and order.total_cents == 500 for order in orders)


def test_an_order_with_an_unknown_outcome_is_sent_again_with_the_same_key(fake_shop, tmp_path):
    confirmed = {"state": "confirmed", "total_cents": 500}
    fake_shop.order_answer = lambda n: (503, {"code": "unknown-outcome"}) if n == 1 else (200, confirmed)

    summary = run_load(plan(fake_shop, tmp_path, rps=30.0, mix="orders"))

    assert summary.orders.acknowledged == summary.orders.attempted == summary.orders.retries > 0
    assert set(fake_shop.sendings.values()) == {2}
    assert all(bodies[0] == bodies[1] for bodies in fake_shop.bodies.values())
    assert summary.failed == 0


def test_a_slow_shop_gets_no_more_than_the_bound_and_the_rest_is_counted_as_skipped(fake_shop, tmp_path):
    fake_shop.page_delay_s = 0.5

    summary = run_load(plan(fake_shop, tmp_path, rps=80.0, mix="browse", most_in_flight=5))

    # About 80 arrivals; five at a time, each half a second, make some fifteen, and a few more when the sender is late.
    assert summary.sent + summary.skipped == summary.offered
    assert 5 <= summary.sent < summary.offered / 2
    records = list(read_records(tmp_path / "out" / "requests.csv"))
    assert sum(record.verdict is Verdict.SKIPPED for record in records) == summary.skipped


def test_arrivals_do_not_wait_for_answers(fake_shop, tmp_path):
    fake_shop.page_delay_s = 0.5

    summary = run_load(plan(fake_shop, tmp_path, rps=40.0, mix="browse"))

    # A loop that waited would have sent two in this second.
    records = list(read_records(tmp_path / "out" / "requests.csv"))
    assert summary.sent == summary.offered == len(records) > 20
    assert min(record.latency_ms for record in records) > 499.0


def test_many_requests_share_few_connections_and_none_lives_for_ever(fake_shop, tmp_path):
    summary = run_load(plan(fake_shop, tmp_path / "a", mix="browse"))
    few, fake_shop.connections = fake_shop.connections, 0
    run_load(plan(fake_shop, tmp_path / "b", mix="browse", connection_lifetime_s=0.0))

    assert few < summary.sent / 2
    # Each request had a connection of its own, and the catalogue's one.
    assert fake_shop.connections == summary.sent + 1


def test_a_shop_that_dies_makes_failures_not_exceptions(fake_shop, tmp_path):
    def kill_connections(n):
        raise ConnectionResetError("the test kills the connection")

    fake_shop.order_answer = kill_connections

    summary = run_load(plan(fake_shop, tmp_path, rps=30.0, mix="orders", patience=Patience(order_deadline_s=0.5)))

    assert summary.orders.unknown == summary.orders.attempted > 0
    assert summary.by_status["connection"] == summary.orders.attempted + summary.orders.retries
    assert summary.failed == summary.orders.attempted


def test_who_does_not_answer_in_time_is_given_up(fake_shop, tmp_path):
    fake_shop.page_delay_s = 1.0

    summary = run_load(plan(fake_shop, tmp_path, rps=20.0, mix="browse", patience=Patience(browse_s=0.2)))

    assert summary.failed == summary.sent > 0
    assert summary.by_status == {"timeout": summary.sent}


def test_the_probe_orders_beside_the_load_and_marks_itself(fake_shop, tmp_path):
    summary = run_load(plan(fake_shop, tmp_path, rps=10.0, mix="browse", probe=ProbePlan(products=(99,))))

    assert (summary.probe.sent, summary.probe.ok) == (10, 10)
    probes = [order for order in read_ledgers([tmp_path / "ledger.jsonl"]) if order.synthetic]
    assert len(probes) == 10 and all(order.lines == ((99, 1),) for order in probes)
    assert sum(headers.get("x-synthetic") == "probe" for headers in fake_shop.headers) >= 20
    assert summary.orders.attempted == 0


def test_announced_crowds_are_written_down_before_the_first_request(fake_shop, tmp_path):
    there = []
    announced = LoadPlan(
        url=fake_shop.url,
        shape=shaped("flash-sale", 20.0, 1.5, 1, announced=True),
        out=tmp_path / "out",
        ledger=tmp_path / "ledger.jsonl",
        mix=mix_named("orders"),
    )
    fake_shop.order_answer = lambda n: (
        there.append((tmp_path / "out" / "events.json").is_file()) or (201, {"state": "confirmed", "total_cents": 1})
    )

    summary = run_load(announced)

    assert there and all(there)
    (event,) = json.loads((tmp_path / "out" / "events.json").read_text())["events"]
    assert (event["starts_at_s"], event["ends_at_s"], event["multiplier"]) == (0.5, 1.0, 10.0)
    assert event["starts_at"].startswith(str(np.datetime64(int(summary.started_at * 1000 + 500), "ms")))


def test_ctrl_c_ends_early_with_a_truthful_summary(fake_shop, tmp_path):
    watched = []

    def watch(progress):
        # As from a terminal: it reaches the process that started the sender, while that waits for news.
        watched.append(progress)
        if len(watched) == 1:
            raise KeyboardInterrupt

    summary = run_load(plan(fake_shop, tmp_path, rps=20.0, duration_s=60.0, mix="browse"), watch)

    assert summary.stopped_early
    assert summary.duration_s < 30.0
    assert summary.offered == summary.sent == len(fake_shop.paths) - 2


@contextmanager
def sender(shop, tmp_path, **options):
    """The sending process itself, without the one that watches over it; it has begun."""
    wanted = plan(shop, tmp_path, duration_s=60.0, **options)
    wanted.out.mkdir()
    catalogue = ask_catalogue(wanted.target)
    drawn(wanted, catalogue).write(tmp_path / "visits.npz")
    job_of(wanted, catalogue, tmp_path / "visits.npz").write(tmp_path / "job.json")
    command = [sys.executable, "-m", "chaos.load", str(tmp_path / "job.json")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert json.loads(process.stdout.readline())["event"] == "ready"
            process.stdin.write(json.dumps({"start_at": time.time()}) + "\n")
            process.stdin.flush()
            yield process
        finally:
            process.kill()


def wait_until(happened, deadline_s=30.0):
    until_s = time.monotonic() + deadline_s
    while not happened():
        assert time.monotonic() < until_s, "it did not happen in time"
        time.sleep(0.01)


def test_every_order_that_reached_the_shop_is_in_the_ledger_of_a_killed_client(fake_shop, tmp_path):
    with sender(fake_shop, tmp_path, mix="orders") as process:
        wait_until(lambda: len(fake_shop.sendings) >= 5)
        process.kill()
        process.wait()

    orders = read_ledgers([tmp_path / "ledger.jsonl"])
    assert set(fake_shop.sendings) <= {order.key for order in orders}
    acknowledged = {order.key for order in orders if order.outcome is Outcome.ACKNOWLEDGED}
    assert acknowledged and acknowledged <= set(fake_shop.sendings)


def test_a_sender_that_nobody_watches_any_more_ends(fake_shop, tmp_path):
    with sender(fake_shop, tmp_path, mix="browse") as process:
        wait_until(lambda: len(fake_shop.paths) > 5)
        process.stdin.close()
        last = json.loads(process.stdout.readlines()[-1])

        assert process.wait(30.0) == 0
        assert (last["event"], last["stopped"]) == ("finished", True)


def test_a_sender_that_breaks_off_is_a_failure_not_a_summary(fake_shop, tmp_path, monkeypatch):
    started, start = [], subprocess.Popen

    def remembered(*arguments, **options):
        started.append(start(*arguments, **options))
        return started[-1]

    monkeypatch.setattr("chaos.load.run.subprocess.Popen", remembered)

    with pytest.raises(LoadFailed, match="broke off"):
        run_load(plan(fake_shop, tmp_path, duration_s=60.0, mix="browse"), lambda _: started[0].kill())


def test_a_shop_that_is_not_there_is_named():
    with pytest.raises(CatalogueUnavailable, match="start the shop"):
        ask_catalogue(Target("127.0.0.1", 1))


def test_a_plan_for_another_machine_cannot_be_made(fake_shop, tmp_path):
    fake_shop.url = "http://192.0.2.1"

    with pytest.raises(TargetRefused, match="this machine only"):
        plan(fake_shop, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"most_in_flight": 0}, "most_in_flight"),
        ({"probe": ProbePlan(rate_hz=0.0)}, "probe rate"),
        ({"duration_s": 90_000.0}, "at most a day"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(options, message, fake_shop, tmp_path):
    with pytest.raises(PlanInvalid, match=message):
        plan(fake_shop, tmp_path, **options)


def test_a_file_that_is_no_ledger_is_left_alone(fake_shop, tmp_path):
    (tmp_path / "ledger.jsonl").write_text("my notes\n")

    with pytest.raises(LedgerInvalid, match="line 1"):
        run_load(plan(fake_shop, tmp_path))

    assert (tmp_path / "ledger.jsonl").read_text() == "my notes\n"
    assert fake_shop.paths == []


def test_more_arrivals_than_memory_are_refused(fake_shop, tmp_path):
    with pytest.raises(PlanInvalid, match="lower its rate"):
        run_load(plan(fake_shop, tmp_path, rps=90_000.0, duration_s=1000.0))
