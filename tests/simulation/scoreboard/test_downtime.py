from __future__ import annotations

from simulation.scoring.downtime import Spell, health, spells


def test_five_bad_requests_make_ten_seconds_down(made_run):
    # second 50 has 5 bad of 10; windows ending at 50 … 59 hold it, with 100 requests each: 5 > 1 % of 100
    seen = health(made_run(failed={50: 5}).client)

    assert [int(s) for s in seen.down.nonzero()[0]] == list(range(50, 60))
    assert seen.downtime_s == 10


def test_four_bad_requests_are_no_downtime(made_run):
    assert health(made_run(failed={50: 4}).client).downtime_s == 0


def test_bad_requests_must_exceed_one_percent_of_the_window(made_run):
    # 10 s × 60/s = 600 requests: 6 bad are exactly 1 %, 7 are more
    assert health(made_run(arrived=60, failed={50: 6}).client).downtime_s == 0
    assert health(made_run(arrived=60, failed={50: 7}).client).downtime_s == 10


def test_slow_answers_count_like_failures(made_run):
    # 2 failed and 3 slow are 5 bad from second 52 on; 50 leaves the window after 59
    seen = health(made_run(failed={50: 2}, slow={52: 3}).client)

    assert [int(s) for s in seen.down.nonzero()[0]] == list(range(52, 60))


def test_without_traffic_a_second_is_neither_up_nor_down(made_run):
    # nothing arrives in the last 40 s; the window still sees traffic for 9 s
    arrived = [10] * 60 + [0] * 40

    seen = health(made_run(arrived=arrived).client)

    assert seen.known[:69].all() and not seen.known[69:].any()
    assert not seen.down.any()


def test_the_first_seconds_look_back_as_far_as_there_is(made_run):
    # at second 0 the window holds 10 requests, 5 of them bad
    assert health(made_run(failed={0: 5}).client).down[0]


def test_outages_less_than_thirty_seconds_apart_are_one(made_run):
    # bad at 10 and 49: down 10-19 and 49-58, 29 clean seconds between
    assert spells(health(made_run(failed={10: 5, 49: 5}).client)) == (Spell(10, 59, True),)


def test_thirty_clean_seconds_end_an_outage(made_run):
    # bad at 10 and 50: down 10-19 and 50-59, 30 clean seconds between, 40 after
    assert spells(health(made_run(failed={10: 5, 50: 5}).client)) == (Spell(10, 20, True), Spell(50, 60, True))


def test_an_outage_that_the_run_does_not_outlast_is_not_recovered(made_run):
    # down 65-74, then 25 clean seconds until the end at 100
    assert spells(health(made_run(failed={65: 5}).client)) == (Spell(65, 75, False),)


def test_silence_is_no_recovery(made_run):
    # after the outage at 20-29 nobody comes any more
    arrived = [10] * 21 + [0] * 79

    assert spells(health(made_run(arrived=arrived, failed={20: 5}).client)) == (Spell(20, 30, False),)


def test_no_outage_without_a_down_second(made_run):
    assert spells(health(made_run().client)) == ()
