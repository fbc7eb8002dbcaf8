from chaos.experiments.measured.orders import commits_of, order_ledger
from chaos.load.books import BookedOrder, Books
from chaos.load.ledger import Attempt, LedgerOrder, Outcome
from chaos.load.reconcile import Finding, Mistake, Reconciliation

ZERO = 1000.0


def order(key, due_at=1010.0, outcome=Outcome.ACKNOWLEDGED, synthetic=False):
    attempt = Attempt(due_at, due_at, due_at + 0.1, 201, None)
    return LedgerOrder(key, "cart", "c", ((1, 1),), synthetic, None, (attempt,), outcome, None, key, 500)


def found(*findings):
    return Reconciliation(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, findings)


def ledger(orders, commits, *findings):
    return order_ledger(orders, commits, found(*findings), (ZERO, ZERO + 300.0))


def test_orders_are_of_the_scored_time_and_of_visitors():
    told = ledger(
        [order("a"), order("before", 999.0), order("after", 1300.0), order("probe", synthetic=True)], {"a": 1}
    )

    assert told.intended_s.tolist() == [10.0]
    assert (told.attempted, told.failed, told.lost, told.duplicated) == (1, 0, 0, 0)


def test_an_acknowledged_order_that_the_books_do_not_have_is_lost():
    told = ledger([order("a"), order("b")], {"b": 1}, Finding(Mistake.LOST, "a", "gone"))

    assert told.lost == 1


def test_an_order_that_was_refused_failed_and_is_not_lost():
    told = ledger([order("a", outcome=Outcome.REJECTED), order("b", outcome=Outcome.UNKNOWN)], {})

    assert (told.failed, told.lost) == (2, 0)


def test_one_cart_ordered_under_two_keys_is_duplicated():
    told = ledger([order("a")], {"a": 1}, Finding(Mistake.DUPLICATED, "a", "one cart was ordered twice"))

    assert told.duplicated == 1


def test_only_confirmed_orders_count_in_the_books():
    def booked(key, state):
        return BookedOrder(
            id=key, key=key, customer="c", state=state, age_s=0.0, total_cents=0, lines_total_cents=0, lines={}
        )

    books = Books(orders=(booked("a", "confirmed"), booked("a", "confirmed"), booked("b", "pending")))

    assert commits_of(books) == {"a": 2}
