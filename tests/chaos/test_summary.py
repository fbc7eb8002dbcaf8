import pytest

from chaos.load.ledger import Attempt, LedgerOrder, Outcome
from chaos.load.records import HEADER, Record, RecordFile, Verdict, read_records
from chaos.load.summary import Ended, summarised, up_time

TRY = Attempt(0.0, 0.0, 0.1, 201, None)


def summary(records, probes=None, orders=(), lasted_s=10.0, slo_s=1.0):
    ended = Ended(lasted_s, stopped_early=False, given_up=0, cpu_ms_per_request=0.4)
    return summarised("run", 1_000.0, ended, records, probes, orders, slo_s)


def record(due_s=0.5, operation="front", verdict=Verdict.OK, status=200, lag_ms=1.0, latency_ms=20.0, error=""):
    return Record(due_s, operation, verdict, status, error, lag_ms, latency_ms)


def order(key, outcome, attempts=1, reason=None, synthetic=False):
    return LedgerOrder(
        key, "cart", "a@example.org", ((1, 1),), synthetic, None, (TRY,) * attempts, outcome, reason, None, None
    )


def test_what_was_offered_is_what_was_sent_skipped_or_blocked():
    found = summary(
        [
            record(),
            record(verdict=Verdict.FAILED, status=503),
            record(verdict=Verdict.REJECTED, status=409),
            record(verdict=Verdict.RETRIED, status=503),
            record(verdict=Verdict.SKIPPED, status=0),
            record(verdict=Verdict.BLOCKED, status=0),
        ]
    )

    assert (found.offered, found.sent, found.skipped, found.blocked, found.failed) == (5, 3, 1, 1, 1)
    # Two proper answers in 10 s.
    assert (found.offered_rps, found.achieved_rps) == (0.5, 0.2)


def test_late_sends_are_those_more_than_fifty_milliseconds_after_due():
    found = summary([record(lag_ms=lag) for lag in (0.0, 49.9, 50.1, 300.0)])

    assert found.late == 2


def test_latencies_are_quantiles_by_operation():
    # 101 values from 0 to 100 ms: the quantiles are the values.
    found = summary([record(latency_ms=float(ms)) for ms in range(101)]).by_operation["front"]

    assert (found.count, found.failed) == (101, 0)
    assert (found.p50_ms, found.p95_ms, found.p99_ms) == pytest.approx((50.0, 95.0, 99.0))


def test_a_timeout_counts_with_the_time_it_took_and_a_quick_refusal_with_none():
    timeout = record(verdict=Verdict.FAILED, status=0, error="timeout", latency_ms=5000.0)
    refused = record(verdict=Verdict.FAILED, status=503, latency_ms=1.0)

    assert summary([timeout]).by_operation["front"].p50_ms == 5000.0
    assert summary([refused]).by_operation["front"].p50_ms is None


def test_statuses_count_every_attempt_and_words_stand_for_no_answer():
    found = summary(
        [
            record(),
            record(verdict=Verdict.RETRIED, status=503),
            record(verdict=Verdict.FAILED, status=0, error="timeout"),
            record(verdict=Verdict.SKIPPED, status=0),
        ]
    )

    assert found.by_status == {"200": 1, "503": 1, "timeout": 1}


def test_orders_are_those_of_this_run_without_the_probes():
    found = summary(
        [],
        orders=[
            order("run-1", Outcome.ACKNOWLEDGED, attempts=3),
            order("run-2", Outcome.REJECTED, reason="out-of-stock"),
            order("run-3", Outcome.UNKNOWN),
            order("run-probe-1", Outcome.ACKNOWLEDGED, synthetic=True),
            order("earlier-1", Outcome.ACKNOWLEDGED),
        ],
    ).orders

    assert (found.attempted, found.acknowledged, found.rejected, found.unknown) == (3, 1, 1, 1)
    assert (found.retries, found.rejected_because) == (2, {"out-of-stock": 1})


def steady(seconds, bad_at=(), per_s=10, slow_at=(), verdict=Verdict.FAILED):
    """Ten requests a second; in some seconds all are bad, in some all are slow."""
    for second in range(seconds):
        for i in range(per_s):
            yield record(
                due_s=second + i / per_s,
                verdict=verdict if second in bad_at else Verdict.OK,
                latency_ms=3000.0 if second in slow_at else 20.0,
            )


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.SKIPPED])
def test_a_second_is_down_while_its_trailing_ten_hold_enough_bad_requests(verdict):
    # Second 20 is all bad (10 requests): seconds 20 to 29 look back on it.
    found = up_time(steady(60, bad_at={20}, verdict=verdict), 60.0, 1.0)

    assert (found.downtime_s, found.up_s, found.unknown_s) == (10, 50, 0)


def test_slower_than_the_slo_is_bad():
    assert up_time(steady(60, slow_at={20}), 60.0, 1.0).downtime_s == 10
    assert up_time(steady(60, slow_at={20}), 60.0, 5.0).downtime_s == 0


def test_four_bad_requests_are_too_few_to_be_down():
    records = [*steady(30), *(record(due_s=15.5, verdict=Verdict.FAILED) for _ in range(4))]

    assert up_time(records, 30.0, 1.0).downtime_s == 0
    assert up_time([*records, record(due_s=15.5, verdict=Verdict.FAILED)], 30.0, 1.0).downtime_s == 10


def test_without_traffic_a_second_is_unknown_not_up():
    # Traffic in the first 5 s; seconds up to 13 look back on it, 14 to 29 see nothing.
    found = up_time(steady(5), 30.0, 1.0)

    assert (found.downtime_s, found.up_s, found.unknown_s) == (0, 14, 16)


def test_a_blocked_request_is_no_traffic():
    found = up_time([record(verdict=Verdict.BLOCKED)], 1.0, 1.0)

    assert (found.downtime_s, found.up_s, found.unknown_s) == (0, 0, 1)


def test_the_probe_has_figures_of_its_own():
    probes = [*steady(20, bad_at={5}), record(due_s=1.0, verdict=Verdict.REJECTED, status=409)]

    found = summary([], probes=probes, lasted_s=20.0).probe

    assert (found.sent, found.ok, found.rejected, found.failed, found.skipped) == (201, 190, 1, 10, 0)
    assert found.uptime.downtime_s == 10


def test_without_a_probe_there_are_no_probe_figures():
    assert summary([record()]).probe is None


def test_records_survive_their_file_and_a_torn_last_row_is_left_out(tmp_path):
    records = [record(), record(verdict=Verdict.FAILED, status=0, error="timeout", due_s=1.25)]
    file = RecordFile(tmp_path / "requests.csv")
    for one in records:
        file.add(one)
    file.close()
    with (tmp_path / "requests.csv").open("a") as torn:
        torn.write("2.5000,front,o")

    assert list(read_records(tmp_path / "requests.csv")) == records
    assert (tmp_path / "requests.csv").read_text().splitlines()[0] == ",".join(HEADER)
