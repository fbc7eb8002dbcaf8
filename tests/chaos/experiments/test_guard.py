import pytest

from chaos.experiments.guard import Glance, Guard, Hypothesis, deviations
from chaos.experiments.problems import NotSteady, RunAborted

WANTED = Hypothesis(p99_s=0.4)


def glances(first_s, last_s, rps=10, bad_rps=0, p99_s=0.1, unready=(), settled=0, bad=0):
    found = []
    for second in range(first_s, last_s + 1):
        found.append(Glance(float(second), settled, bad, p99_s, unready))
        settled, bad = settled + rps, bad + bad_rps
    return found


def test_a_shop_that_is_well_deviates_in_nothing():
    assert deviations(glances(-60, -1), WANTED) == ()


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        pytest.param([], "nothing was seen", id="blind"),
        pytest.param(glances(-10, -1), "only 9 of 30 s were seen", id="too-short"),
        pytest.param(glances(-60, -1, rps=0), "0 requests in 30 s: too few", id="no-traffic"),
        pytest.param(glances(-60, -1, rps=50, bad_rps=1), "2.0 % of requests failed", id="errors"),
        pytest.param(glances(-60, -1, p99_s=0.5), "p99 reached 0.50 s, at most 0.4 s", id="slow"),
        pytest.param(glances(-60, -1, p99_s=None), "no latency is known", id="no-latency"),
        pytest.param(glances(-60, -1, unready=("cart",)), "pods of cart were not ready", id="unready"),
        pytest.param(glances(-60, -1, unready=None), "the API server did not say", id="api-away"),
    ],
)
def test_what_is_not_as_wanted_is_told(seen, told):
    assert told in "; ".join(deviations(seen, WANTED))


def test_only_the_last_seconds_count():
    early = glances(-120, -60, p99_s=9.0, unready=("cart",))

    assert deviations([*early, *glances(-59, -1, settled=620)], WANTED) == ()


def watched(*parts, most_error_minutes=1.0):
    guard = Guard(WANTED, most_error_minutes)
    for part in parts:
        for glance in part:
            guard.note(glance)
    return guard


def test_a_run_of_a_shop_that_is_well_goes_through():
    verdict = watched(glances(-60, 300)).verdict()

    assert (verdict.steady, verdict.error_minutes, verdict.aborted) == (True, 0.0, None)


def test_a_shop_that_was_not_well_ends_the_run_at_its_beginning():
    with pytest.raises(NotSteady, match="pods of cart were not ready"):
        watched(glances(-60, 0, unready=("cart",)))


def test_errors_of_the_warm_up_are_not_counted():
    # Bad until -40, well for the last 40 s.
    guard = watched(glances(-120, -41, bad_rps=10), glances(-40, 60, settled=800, bad=800), most_error_minutes=0.01)

    assert guard.error_minutes == 0.0


def test_minutes_of_error_are_counted_by_the_scoreboards_rule():
    # From 11 s to 30 s, 2 of 10 requests a second fail, and are seen a second later.
    well = glances(-60, 10)
    bad = glances(11, 30, bad_rps=2, settled=710)
    after = glances(31, 60, settled=910, bad=40)

    guard = watched(well, bad, after)

    # At 14 s six bad ones are in the window of ten; at 38 s still six (34 of 40 came before), at 39 s only four.
    assert guard.error_minutes == pytest.approx(25.0 / 60.0)


def test_slow_seconds_are_minutes_of_error_too():
    guard = watched(glances(-60, 0), glances(1, 30, p99_s=2.0, settled=610))

    assert guard.error_minutes == pytest.approx(0.5)


def test_more_minutes_of_error_than_allowed_end_the_run():
    guard = Guard(WANTED, most_error_minutes=0.5)

    with pytest.raises(RunAborted, match=r"minutes of error, at most 0\.5"):
        for glance in (*glances(-60, 0), *glances(1, 120, bad_rps=10, settled=610)):
            guard.note(glance)

    assert guard.verdict().aborted is not None


def test_a_load_that_fell_silent_ends_the_run():
    with pytest.raises(RunAborted, match="is the load still there"):
        watched(glances(-60, 0), glances(1, 120, rps=0, settled=610))
