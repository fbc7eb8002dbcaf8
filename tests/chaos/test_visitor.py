import pytest

from chaos.load.catalogue import Catalogue
from chaos.load.ledger import Ledger, Outcome, read_ledgers
from chaos.load.mix import Operation, Visit
from chaos.load.orders import Answer, Clock
from chaos.load.probe import ProbePlan, Prober
from chaos.load.records import Verdict
from chaos.load.visitor import Patience, Visitors

GOODS = Catalogue(100, (1, 2, 3), ("lamps", "rugs & mats"), ("brass",))
CART = Answer(201, {"cart_id": "c/1"})
VIEW = Answer(200, {"lines": [], "total_cents": 1500})
ORDER = Answer(201, {"id": "order-1", "state": "confirmed", "total_cents": 1500})


class Shop:
    """Answers by what a request is called; each answer takes 0.1 s of a clock that nothing else moves."""

    def __init__(self, **answers):
        self.now_s = 5.0
        self.answers = {
            "cart-open": [CART],
            "cart-view": [VIEW],
            "order": [ORDER],
            "probe-cart": [CART],
            "probe-order": [ORDER],
            **answers,
        }
        self.asked = []

    def send(self, name, method, path, headers, body, due_s, timeout_s):
        self.asked.append((name, method, path, headers, body, timeout_s))
        self.now_s += 0.1
        answers = self.answers.get(name, [Answer(200, {})])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def sleep(self, s):
        self.now_s += s

    @property
    def clock(self):
        return Clock(lambda: self.now_s, self.sleep, started_at=0.0)


def visit(operation, lines=((7, 2),), due_s=5.0, bot=False, pays=True):
    return Visit(0, due_s, operation, bot, visitor=300, lines=lines, choice=1, page=2, pays=pays)


@pytest.fixture
def perform(tmp_path):
    """Performs a visit in a shop; gives its records and its orders."""

    def do(shop, *visits, skip=False):
        ledger, records = Ledger(tmp_path / "ledger.jsonl"), []
        visitors = Visitors(shop, GOODS, ledger, records.append, shop.clock, "run", Patience())
        for one in visits:
            visitors.skip(one) if skip else visitors.perform(one)
        ledger.close()
        return records, read_ledgers([tmp_path / "ledger.jsonl"])

    return do


def outcomes(records):
    return [(record.operation, record.verdict) for record in records]


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        (Operation.FRONT, "/"),
        (Operation.CATEGORY, "/category/rugs%20%26%20mats?page=2"),
        (Operation.PRODUCT, "/product/7"),
        (Operation.SEARCH, "/search?q=brass"),
    ],
)
def test_a_page_is_one_request(operation, path, perform):
    shop = Shop()

    records, _ = perform(shop, visit(operation))

    assert [(asked[1], asked[2]) for asked in shop.asked] == [("GET", path)]
    assert outcomes(records) == [(operation.name.lower(), Verdict.OK)]


def test_latency_counts_from_when_the_request_was_due_not_from_when_it_was_sent(perform):
    # Due at 4.6 s, sent at 5.0 s since the client was late, answered at 5.1 s.
    (record,), _ = perform(Shop(), visit(Operation.FRONT, due_s=4.6))

    assert record.latency_ms == pytest.approx(500.0)
    assert record.lag_ms == pytest.approx(400.0)
    assert record.due_s == 4.6


def test_people_and_crawlers_say_who_they_are(perform):
    shop = Shop()

    perform(shop, visit(Operation.FRONT), visit(Operation.FRONT, bot=True))

    assert "Bot" not in shop.asked[0][3]["User-Agent"] and "Bot" in shop.asked[1][3]["User-Agent"]
    assert shop.asked[0][3]["X-Forwarded-For"] == "10.0.1.45"  # visitor 300 is 256 + 45 - 1


def test_a_checkout_opens_a_cart_fills_it_looks_at_it_and_orders(perform):
    shop = Shop()

    records, (order,) = perform(shop, visit(Operation.CHECKOUT, lines=((7, 2), (9, 1))))

    assert [(asked[1], asked[2], asked[4]) for asked in shop.asked] == [
        ("POST", "/api/v1/carts", {}),
        ("POST", "/api/v1/carts/c%2F1/lines", {"product_id": 7, "quantity": 2}),
        ("POST", "/api/v1/carts/c%2F1/lines", {"product_id": 9, "quantity": 1}),
        ("GET", "/api/v1/carts/c%2F1", None),
        (
            "POST",
            "/api/v1/orders",
            {
                "cart_id": "c/1",
                "payment_token": "tok_visa",
                "email": "shopper-run-0@example.org",
                "expected_total_cents": 1500,
            },
        ),
    ]
    assert all(verdict is Verdict.OK for _, verdict in outcomes(records))
    assert (order.key, order.lines, order.outcome) == ("run-0", ((7, 2), (9, 1)), Outcome.ACKNOWLEDGED)
    assert order.expected_total_cents == 1500


def test_an_order_whose_answer_is_lost_is_sent_again_with_the_same_key(perform):
    shop = Shop(order=[Answer(0, error="connection"), Answer(503), ORDER])

    records, (order,) = perform(shop, visit(Operation.CHECKOUT))

    keys = [asked[3]["Idempotency-Key"] for asked in shop.asked if asked[0] == "order"]
    bodies = [asked[4] for asked in shop.asked if asked[0] == "order"]
    assert keys == ["run-0"] * 3 and bodies == [bodies[0]] * 3
    assert [record.verdict for record in records if record.operation == "order"] == [
        Verdict.RETRIED,
        Verdict.RETRIED,
        Verdict.OK,
    ]
    assert order.outcome is Outcome.ACKNOWLEDGED and len(order.attempts) == 3


def test_an_order_counts_from_its_first_attempt(perform):
    shop = Shop(order=[Answer(503, retry_after_s=2.0), ORDER])

    records, _ = perform(shop, visit(Operation.CHECKOUT))

    # Cart, line and view end at 5.3 s; then 0.1 s, a wait of 2 s, 0.1 s.
    last = records[-1]
    assert last.due_s == pytest.approx(5.3)
    assert last.latency_ms == pytest.approx(2200.0)
    assert last.lag_ms == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(402, {"code": "payment-declined"}), Verdict.REJECTED),
        (Answer(409, {"code": "out-of-stock"}), Verdict.REJECTED),
        (Answer(422, {"code": "idempotency-key-reused"}), Verdict.FAILED),
        (Answer(409, {"code": "order-abandoned"}), Verdict.FAILED),
    ],
)
def test_a_proper_no_is_an_answer_and_a_strange_one_a_failure(answer, verdict, perform):
    records, _ = perform(Shop(order=[answer]), visit(Operation.CHECKOUT))

    assert records[-1].verdict is verdict


def test_some_cards_are_declined(perform):
    shop = Shop()

    perform(shop, visit(Operation.CHECKOUT, pays=False))

    assert shop.asked[-1][4]["payment_token"] == "tok_declined"


def test_what_builds_on_a_failed_request_is_blocked_and_counted(perform):
    shop = Shop(**{"cart-line": [Answer(503)]})

    records, orders = perform(shop, visit(Operation.CHECKOUT, lines=((7, 2), (9, 1))))

    assert outcomes(records) == [
        ("cart-open", Verdict.OK),
        ("cart-line", Verdict.FAILED),
        ("cart-line", Verdict.BLOCKED),
        ("cart-view", Verdict.BLOCKED),
        ("order", Verdict.BLOCKED),
    ]
    assert orders == ()


@pytest.mark.parametrize(
    ("failing", "blocked"),
    [("cart-open", ["cart-line", "cart-view", "order"]), ("cart-view", ["order"])],
)
def test_each_step_of_a_checkout_can_block_the_rest(failing, blocked, perform):
    records, _ = perform(Shop(**{failing: [Answer(0, error="timeout")]}), visit(Operation.CHECKOUT))

    assert [record.operation for record in records if record.verdict is Verdict.BLOCKED] == blocked
    assert len(records) == 4


def test_a_skipped_visit_leaves_a_record_for_each_request_it_would_have_made(perform):
    shop = Shop()

    records, _ = perform(shop, visit(Operation.CHECKOUT), visit(Operation.FRONT), skip=True)

    assert [record.operation for record in records] == ["cart-open", "cart-line", "cart-view", "order", "front"]
    assert {record.verdict for record in records} == {Verdict.SKIPPED}
    assert shop.asked == []


def test_browsing_waits_five_seconds_and_checkout_twenty(perform):
    shop = Shop()

    perform(shop, visit(Operation.FRONT), visit(Operation.CHECKOUT))

    waits = {asked[0]: asked[5] for asked in shop.asked}
    assert (waits["front"], waits["cart-line"], waits["order"]) == (5.0, 5.0, 20.0)


@pytest.fixture
def probe(tmp_path):
    """Probes a shop so many times; gives the records and the orders."""

    def do(shop, times):
        ledger, records = Ledger(tmp_path / "probes.jsonl"), []
        prober = Prober(shop, ledger, records.append, shop.clock, "run", (98, 99), Patience())
        for index in range(times):
            prober.perform(index, shop.now_s)
        ledger.close()
        return records, read_ledgers([tmp_path / "probes.jsonl"])

    return do


def test_the_probe_is_due_ten_times_a_second():
    assert ProbePlan().due_s(0.45).tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_the_probe_uses_its_cart_again_and_takes_its_products_in_turn(probe):
    shop = Shop()

    records, orders = probe(shop, 3)

    assert [asked[0] for asked in shop.asked] == ["probe-cart", *["probe-line", "probe-order"] * 3]
    assert [order.lines for order in orders] == [((98, 1),), ((99, 1),), ((98, 1),)]
    # The first probe opens a cart: three requests of 0.1 s, then two each.
    assert [record.latency_ms for record in records] == pytest.approx([300.0, 200.0, 200.0])


def test_the_probe_can_be_told_from_customers(probe):
    shop = Shop()

    _, (order,) = probe(shop, 1)

    assert order.synthetic and order.customer == "probe@example.org"
    assert all(asked[3]["X-Synthetic"] == "probe" for asked in shop.asked)


def test_a_failed_probe_says_where(probe):
    records, orders = probe(Shop(**{"probe-line": [Answer(503)]}), 1)

    assert [(record.verdict, record.error) for record in records] == [(Verdict.FAILED, "line:503")]
    assert orders == ()


def test_a_probe_without_a_cart_fails_and_the_next_one_asks_for_another(probe):
    shop = Shop(**{"probe-cart": [Answer(0, error="refused"), CART]})

    records, _ = probe(shop, 2)

    assert [(record.verdict, record.error) for record in records] == [
        (Verdict.FAILED, "cart:refused"),
        (Verdict.OK, ""),
    ]


def test_a_cart_that_the_shop_forgot_is_not_used_again(probe):
    shop = Shop(**{"probe-line": [Answer(404), Answer(200, {})]})

    probe(shop, 2)

    assert [asked[0] for asked in shop.asked].count("probe-cart") == 2


def test_a_probe_that_is_sold_out_is_rejected_not_failed(probe):
    records, _ = probe(Shop(**{"probe-order": [Answer(409, {"code": "out-of-stock"})]}), 1)

    assert records[0].verdict is Verdict.REJECTED
