from demo_shop.catalog.breaker import Breaker


def test_lets_everybody_through_while_all_is_well() -> None:
    breaker = Breaker()

    assert breaker.lets_through(0.0)
    assert breaker.lets_through(0.0)


def test_lets_nobody_through_for_a_second_after_a_failure() -> None:
    breaker = Breaker(open_for_s=1.0)

    breaker.failed(10.0)

    assert not breaker.lets_through(10.9)
    assert not breaker.closed


def test_one_probe_a_second_while_failures_go_on() -> None:
    breaker = Breaker(open_for_s=1.0)
    breaker.failed(10.0)

    let_through = []
    for hundredth in range(1000, 1300):
        now_s = hundredth / 100
        if breaker.lets_through(now_s):
            let_through.append(now_s)
            breaker.failed(now_s)

    assert let_through == [11.0, 12.0]


def test_only_one_probes_at_a_time() -> None:
    breaker = Breaker(open_for_s=1.0)
    breaker.failed(10.0)

    assert breaker.lets_through(11.0)
    assert not breaker.lets_through(11.0)


def test_a_probe_that_was_cancelled_leaves_room_for_the_next() -> None:
    breaker = Breaker(open_for_s=1.0)
    breaker.failed(10.0)
    breaker.lets_through(11.0)

    breaker.gave_up()

    assert breaker.lets_through(11.0)


def test_a_success_closes_it() -> None:
    breaker = Breaker(open_for_s=1.0)
    breaker.failed(10.0)
    breaker.lets_through(11.0)

    breaker.succeeded()

    assert breaker.closed
    assert breaker.lets_through(11.0)
