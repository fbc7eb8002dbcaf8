import pytest

from chaos.load.ledger import Attempt, Ledger, LedgerInvalid, LedgerOrder, Outcome, read_ledgers

ATTEMPT = Attempt(due_at=10.0, sent_at=10.01, answered_at=10.2, status=503, error=None)
LAST = Attempt(due_at=10.5, sent_at=10.5, answered_at=10.7, status=201, error=None)


def write(path, key="run-1", end=True):
    ledger = Ledger(path)
    ledger.ordered(key, "cart-1", "a@example.org", [(7, 2), (9, 1)], False, 1500)
    ledger.attempted(key, ATTEMPT)
    if end:
        ledger.attempted(key, LAST)
        ledger.settled(key, Outcome.ACKNOWLEDGED, order_id="order-1", total_cents=1500)
    ledger.close()


def test_an_order_reads_as_it_was_written(tmp_path):
    write(tmp_path / "ledger.jsonl")

    assert read_ledgers([tmp_path / "ledger.jsonl"]) == (
        LedgerOrder(
            key="run-1",
            cart="cart-1",
            customer="a@example.org",
            lines=((7, 2), (9, 1)),
            synthetic=False,
            expected_total_cents=1500,
            attempts=(ATTEMPT, LAST),
            outcome=Outcome.ACKNOWLEDGED,
            reason=None,
            order_id="order-1",
            total_cents=1500,
        ),
    )


def test_each_line_is_in_the_file_before_the_next_step(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    try:
        ledger.ordered("run-1", "cart-1", "a@example.org", [(7, 1)], False, None)
        first = (tmp_path / "ledger.jsonl").read_text()
        ledger.attempted("run-1", ATTEMPT)
        second = (tmp_path / "ledger.jsonl").read_text()
    finally:
        ledger.close()

    assert first.count("\n") == 1 and second.count("\n") == 2


def test_an_order_without_a_last_word_is_unknown(tmp_path):
    write(tmp_path / "ledger.jsonl", end=False)

    (order,) = read_ledgers([tmp_path / "ledger.jsonl"])

    assert order.outcome is Outcome.UNKNOWN
    assert order.attempts == (ATTEMPT,)
    assert order.reason == "the client ended before an answer came"


def test_a_line_torn_by_a_kill_costs_that_line_only(tmp_path):
    path = tmp_path / "ledger.jsonl"
    write(path)
    path.write_bytes(path.read_bytes()[:-30])  # in the middle of the outcome

    (order,) = read_ledgers([path])

    assert order.outcome is Outcome.UNKNOWN
    assert len(order.attempts) == 2


def test_a_ledger_torn_anywhere_can_be_read_and_never_says_more_than_it_did(tmp_path):
    path = tmp_path / "ledger.jsonl"
    write(path)
    whole = path.read_bytes()
    (complete,) = read_ledgers([path])

    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        for order in read_ledgers([path]):
            assert order.attempts == complete.attempts[: len(order.attempts)]
            # The last line is whole without its line break.
            assert order.outcome is Outcome.UNKNOWN or length == len(whole) - 1


def test_a_ledger_goes_on_after_a_torn_line(tmp_path):
    path = tmp_path / "ledger.jsonl"
    write(path, "run-1")
    path.write_bytes(path.read_bytes()[:-30])
    write(path, "run-2")

    outcomes = {order.key: order.outcome for order in read_ledgers([path])}

    assert outcomes == {"run-1": Outcome.UNKNOWN, "run-2": Outcome.ACKNOWLEDGED}


def test_several_ledgers_are_read_as_one(tmp_path):
    write(tmp_path / "a.jsonl", "a-1")
    write(tmp_path / "b.jsonl", "b-1")

    assert [order.key for order in read_ledgers([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])] == ["a-1", "b-1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("due_s,operation\n", "line 1: not JSON"),
        ('{"event":"attempt","key":"x"}\n', "line 1: not a line of a ledger"),
        ('{"event":"order","key":"x"}\n', "line 1: not a line of a ledger"),
        ("[1]\n", "line 1: not a line of a ledger"),
    ],
)
def test_a_file_that_is_no_ledger_is_refused(text, message, tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text(text)

    with pytest.raises(LedgerInvalid, match=message):
        read_ledgers([path])


def test_a_key_used_by_two_runs_is_refused(tmp_path):
    write(tmp_path / "a.jsonl")
    write(tmp_path / "b.jsonl")

    with pytest.raises(LedgerInvalid, match="used twice"):
        read_ledgers([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])


def test_a_missing_ledger_is_named(tmp_path):
    with pytest.raises(LedgerInvalid, match="nowhere"):
        read_ledgers([tmp_path / "nowhere.jsonl"])
