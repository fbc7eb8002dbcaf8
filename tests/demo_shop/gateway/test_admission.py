"""Slots and the queue in front of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_shop.gateway.admission import Admission, AdmissionSettings, Shed, Ticket
from demo_shop.gateway.priorities import Priority

BOT, BROWSE, CART, CHECKOUT = Priority
TEN = AdmissionSettings(first_limit=10, least_limit=2, most_limit=40, most_queued=4)


class Waiter:
    """Stands in the queue and notes what it is told."""

    def __init__(self, admission: Admission, priority: Priority, now_s: float = 0.0) -> None:
        self.priority = priority
        self.told: list[Shed | None] = []
        self.place = admission.wait(priority, now_s, self.told.append)

    @property
    def ticket(self) -> Ticket:
        assert isinstance(self.place, Ticket)
        return self.place

    @property
    def is_in(self) -> bool:
        return self.told == [None]


def entered(admission: Admission, priority: Priority, most: int = 100) -> int:
    return sum(admission.try_enter(priority) for _ in range(most))


def test_no_more_are_worked_on_than_there_are_slots() -> None:
    admission = Admission(TEN)

    assert entered(admission, CHECKOUT) == 10
    assert admission.in_flight == 10


def test_the_lower_classes_leave_slots_to_the_higher_ones() -> None:
    # Of 10 slots bots may hold 25 % = 2, bots and browsing 75 % = 7, carts too 90 % = 9, all of them 10.
    admission = Admission(TEN)

    assert entered(admission, BOT) == 2
    assert entered(admission, BROWSE) == 5
    assert entered(admission, CART) == 2
    assert entered(admission, CHECKOUT) == 1


def test_checkouts_may_take_every_slot_and_then_nobody_else_gets_one() -> None:
    admission = Admission(TEN)
    entered(admission, CHECKOUT)

    assert entered(admission, BOT) == entered(admission, BROWSE) == entered(admission, CART) == 0


def test_a_slot_given_back_goes_to_the_highest_class_that_waits() -> None:
    admission = Admission(TEN)
    entered(admission, CHECKOUT)
    browsing, checkout = Waiter(admission, BROWSE), Waiter(admission, CHECKOUT)

    admission.leave(CHECKOUT, 0.1)

    assert checkout.is_in
    assert browsing.told == []
    assert admission.in_flight == 10


def test_within_a_class_the_first_to_come_is_the_first_to_go_in() -> None:
    admission = Admission(TEN)
    entered(admission, CHECKOUT)
    first, second = Waiter(admission, CART), Waiter(admission, CART)

    admission.leave(CHECKOUT, 0.1)

    assert first.is_in
    assert second.told == []


def test_a_full_queue_turns_a_newcomer_of_the_lowest_class_away() -> None:
    admission = Admission(TEN)
    entered(admission, CHECKOUT)
    for _ in range(4):
        Waiter(admission, BROWSE)

    assert Waiter(admission, BROWSE).place is Shed.QUEUE_FULL
    assert Waiter(admission, BOT).place is Shed.QUEUE_FULL
    assert admission.shed == {(BROWSE, Shed.QUEUE_FULL): 1, (BOT, Shed.QUEUE_FULL): 1}


def test_in_a_full_queue_a_checkout_takes_the_place_of_the_newest_of_the_lowest_class() -> None:
    admission = Admission(TEN)
    entered(admission, CHECKOUT)
    waiters = [Waiter(admission, priority) for priority in (BROWSE, BOT, BOT, CART)]

    newcomer = Waiter(admission, CHECKOUT)

    assert [waiter.told for waiter in waiters] == [[], [], [Shed.EVICTED], []]
    assert newcomer.ticket.waiting
    assert admission.queued() == {BOT: 1, BROWSE: 1, CART: 1, CHECKOUT: 1}
    assert admission.shed == {(BOT, Shed.EVICTED): 1}


@pytest.mark.parametrize(("priority", "most_s"), [(BOT, 0.1), (BROWSE, 1.0), (CART, 2.0), (CHECKOUT, 10.0)])
def test_each_class_has_its_own_patience(priority: Priority, most_s: float) -> None:
    admission = Admission(replace(TEN, most_limit=10))
    entered(admission, CHECKOUT)
    waiter = Waiter(admission, priority, now_s=5.0)

    admission.adapt(0.0, 5.0 + most_s * 0.99)
    assert waiter.told == []
    admission.adapt(0.0, 5.0 + most_s * 1.01)
    assert waiter.told == [Shed.WAITED_TOO_LONG]


def test_in_a_queue_that_never_empties_only_who_came_just_now_is_kept() -> None:
    # Browsing may wait 1 s. Its queue stands since 0 s; at 1.05 s it is a standing one, where 0.1 s is the most.
    admission = Admission(replace(TEN, first_limit=2, most_limit=2))
    entered(admission, CHECKOUT)
    waiters = [Waiter(admission, BROWSE, now_s) for now_s in (0.0, 0.5, 0.9, 1.0)]

    admission.adapt(0.0, 1.05)

    assert [waiter.told for waiter in waiters] == [
        [Shed.WAITED_TOO_LONG],
        [Shed.STANDING_QUEUE],
        [Shed.STANDING_QUEUE],
        [],
    ]


def test_a_queue_that_emptied_in_between_is_not_a_standing_one() -> None:
    admission = Admission(replace(TEN, first_limit=2, most_limit=2))
    entered(admission, CHECKOUT)
    early = Waiter(admission, BROWSE, 0.0)
    admission.give_up(early.ticket, Shed.CLIENT_GONE)
    late = Waiter(admission, BROWSE, 0.5)

    admission.adapt(0.0, 1.4)

    assert late.told == []


def test_checkouts_sit_out_a_switchover() -> None:
    admission = Admission(replace(TEN, first_limit=2, most_limit=2))
    entered(admission, CHECKOUT)
    waiters = [Waiter(admission, CHECKOUT, now_s) for now_s in (0.0, 3.0, 6.0)]

    admission.adapt(0.0, 9.9)
    admission.leave(CHECKOUT, 9.9)

    assert waiters[0].is_in
    assert waiters[1].told == waiters[2].told == []


def test_who_waited_too_long_is_not_worked_on_any_more() -> None:
    admission = Admission(TEN)
    entered(admission, CHECKOUT)
    given_up, fresh = Waiter(admission, CHECKOUT, 0.0), Waiter(admission, CHECKOUT, 8.0)

    admission.leave(CHECKOUT, 10.5)

    assert given_up.told == [Shed.WAITED_TOO_LONG]
    assert fresh.is_in


def test_who_gives_up_frees_its_place_and_is_told_once() -> None:
    admission = Admission(TEN)
    entered(admission, CHECKOUT)
    gone, stays = Waiter(admission, CART), Waiter(admission, CART)

    admission.give_up(gone.ticket, Shed.CLIENT_GONE)
    admission.give_up(gone.ticket, Shed.WAITED_TOO_LONG)

    assert gone.told == [Shed.CLIENT_GONE]
    assert admission.queued()[CART] == 1
    assert stays.told == []
    assert admission.shed == {(CART, Shed.CLIENT_GONE): 1}


def test_giving_up_after_being_let_in_changes_nothing() -> None:
    admission = Admission(TEN)
    entered(admission, CHECKOUT)
    waiter = Waiter(admission, CHECKOUT)
    admission.leave(CHECKOUT, 0.1)

    admission.give_up(waiter.ticket, Shed.CLIENT_GONE)

    assert waiter.is_in
    assert admission.shed == {}


def test_slots_are_added_while_requests_wait_and_the_process_keeps_up() -> None:
    admission = Admission(TEN)
    entered(admission, CHECKOUT)
    waiters = [Waiter(admission, CHECKOUT) for _ in range(3)]

    # Two more slots at each look, taken at once by who waits; at the third nobody waits any more.
    assert [admission.adapt(lag_s=0.0, now_s=now_s) for now_s in (0.1, 0.2, 0.3)] == [12, 14, 14]
    assert all(waiter.is_in for waiter in waiters)
    assert admission.in_flight == 13


def test_slots_are_not_added_while_nobody_waits() -> None:
    admission = Admission(TEN)
    entered(admission, CHECKOUT, 5)

    assert [admission.adapt(0.0, now_s) for now_s in (0.1, 0.2, 0.3)] == [10, 10, 10]


def test_bots_that_wait_are_no_reason_for_more_slots() -> None:
    admission = Admission(TEN)
    entered(admission, BOT)
    Waiter(admission, BOT)

    assert admission.adapt(0.0, 0.05) == 10


@pytest.mark.parametrize(
    ("lag_s", "limit"),
    [
        pytest.param(0.05, 40, id="as it may be"),
        pytest.param(0.051, 36, id="a little too much: 40 × 0.9"),
        pytest.param(0.0625, 32, id="more: 40 × 0.05 / 0.0625"),
        pytest.param(5.0, 28, id="never less than 40 × 0.7"),
    ],
)
def test_the_more_the_event_loop_lags_the_more_slots_go(lag_s: float, limit: int) -> None:
    assert Admission(replace(TEN, first_limit=40)).adapt(lag_s, 0.0) == limit


def test_slots_are_taken_at_most_twice_a_second() -> None:
    admission = Admission(replace(TEN, first_limit=40))

    # 40 × 0.9 = 36; 36 × 0.9 = 32.4, of which 32 are whole.
    assert [admission.adapt(0.051, now_s) for now_s in (0.0, 0.4, 0.5)] == [36, 36, 32]


def test_the_limit_stays_between_its_floor_and_its_ceiling() -> None:
    admission = Admission(replace(TEN, rest_s=0.0, most_queued=1000))

    assert [admission.adapt(1.0, float(now_s)) for now_s in range(100)][-1] == 2
    entered(admission, CHECKOUT)
    for _ in range(1000):
        Waiter(admission, CHECKOUT, 100.0)
    assert [admission.adapt(0.0, 100.0) for _ in range(100)][-1] == 40


def test_fewer_slots_let_nobody_in_until_enough_have_left() -> None:
    admission = Admission(TEN)
    entered(admission, CHECKOUT)
    admission.adapt(0.051, 0.0)
    waiter = Waiter(admission, CHECKOUT)

    admission.leave(CHECKOUT, 0.1)
    assert waiter.told == []  # 9 of 9 slots are held
    admission.leave(CHECKOUT, 0.1)
    assert waiter.is_in


def test_slow_pages_take_slots_but_a_few_pages_or_a_few_slow_ones_do_not() -> None:
    def limit_after(slow: int, quick: int) -> int:
        admission = Admission(TEN)
        for took_s in [1.5] * slow + [0.05] * quick:
            assert admission.try_enter(BROWSE)
            admission.leave(BROWSE, 0.0, took_s)
        return admission.adapt(0.0, 0.1)

    assert limit_after(slow=3, quick=17) == 9
    assert limit_after(slow=2, quick=18) == 10  # a tenth is allowed
    assert limit_after(slow=5, quick=0) == 10  # five pages say nothing yet


def test_starts_with_the_slots_it_is_told_and_stays_within_an_eighth_and_four_times() -> None:
    told = AdmissionSettings.starting_with(64)

    assert (told.first_limit, told.least_limit, told.most_limit) == (64, 8, 256)
    assert AdmissionSettings.starting_with(0).first_limit == 1


Step = tuple[str, int, float]


def steps() -> st.SearchStrategy[list[Step]]:
    step = st.tuples(
        st.sampled_from(["come", "come", "come", "leave", "leave", "give up", "adapt"]),
        st.integers(0, 3),
        st.floats(0.0, 0.3),
    )
    return st.lists(step, max_size=120)


@given(steps())
@settings(max_examples=300, deadline=None)
def test_whatever_happens_no_slot_and_no_waiter_is_lost(story: list[Step]) -> None:
    admission = Admission(AdmissionSettings(first_limit=6, least_limit=2, most_limit=12, most_queued=5, rest_s=0.1))
    inside: list[Priority] = []
    waiters: list[Waiter] = []
    turned_away = 0
    now_s = 0.0

    for what, number, length in story:
        now_s += length
        room_before = admission.limit - admission.in_flight
        if what == "come":
            priority = Priority(number)
            if admission.try_enter(priority):
                # Whoever walks in overtakes nobody of its own class or a higher one.
                assert room_before > 0
                assert not any(admission.queued()[higher] for higher in Priority if higher >= priority)
                inside.append(priority)
            else:
                waiter = Waiter(admission, priority, now_s)
                if isinstance(waiter.place, Shed):
                    turned_away += 1
                    # Nobody of a lower class kept a place that this one wanted.
                    assert not any(admission.queued()[lower] for lower in Priority if lower < priority)
                else:
                    waiters.append(waiter)
        elif what == "leave" and inside:
            admission.leave(inside.pop(number % len(inside)), now_s, length * 5.0)
        elif what == "give up" and waiters:
            admission.give_up(waiters[number % len(waiters)].ticket, Shed.CLIENT_GONE)
        elif what == "adapt":
            admission.adapt(length - 0.2, now_s)

        inside.extend(waiter.priority for waiter in waiters if waiter.is_in)
        granted = [waiter.priority for waiter in waiters if waiter.is_in]
        still_waiting = [waiter for waiter in waiters if not waiter.told]
        if granted:
            # A freed slot never goes to a class below one that goes on waiting.
            assert not any(waiter.priority > max(granted) for waiter in still_waiting)
            assert admission.in_flight <= admission.limit
        turned_away += sum(waiter.told[0] is not None for waiter in waiters if waiter.told)
        assert all(len(waiter.told) <= 1 for waiter in waiters)
        waiters = still_waiting

        assert admission.in_flight == len(inside)
        assert sum(admission.queued().values()) == len(waiters) <= 5
        assert sum(admission.shed.values()) == turned_away
        assert 2 <= admission.limit <= 12
        # Slots are never idle while somebody who may have one waits.
        for waiter in waiters:
            assert not _would_fit(admission, waiter.priority)


def _would_fit(admission: Admission, priority: Priority) -> bool:
    if not admission.try_enter(priority):
        return False
    admission.leave(priority, -1.0)
    return True
