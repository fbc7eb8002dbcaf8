from foresail.prometheus.paces import Paces

STEPS = 4


def test_a_pod_s_pace_is_the_mean_of_the_window_that_its_cpu_is_about() -> None:
    paces = Paces()

    for step, rate_rps in enumerate((10.0, 10.0, 10.0, 10.0, 40.0), start=100):
        paces.note(step, {"shop/web-1": rate_rps}, STEPS)

    assert paces.mean_rps("shop/web-1", STEPS) == 17.5


def test_a_window_that_is_not_known_whole_has_no_pace() -> None:
    paces = Paces()
    paces.note(100, {"shop/web-1": 10.0, "shop/old": 1.0}, STEPS)
    paces.note(101, {"shop/web-1": None}, STEPS)
    paces.note(103, {"shop/web-1": 10.0}, STEPS)  # one step was missed
    paces.note(104, {"shop/web-1": 10.0}, STEPS)

    assert paces.mean_rps("shop/web-1", STEPS) is None
    assert paces.mean_rps("shop/old", STEPS) is None
    assert paces.mean_rps("shop/unheard-of", STEPS) is None


def test_after_a_gap_a_pace_needs_a_whole_window_again() -> None:
    paces = Paces()
    for step in (100, 101, 102, 103, 200):
        paces.note(step, {"shop/web-1": 10.0}, STEPS)

    assert paces.mean_rps("shop/web-1", STEPS) is None


def test_a_clock_set_back_begins_anew() -> None:
    paces = Paces()
    for step in (200, 201, 100, 101, 102, 103):
        paces.note(step, {"shop/web-1": float(step)}, STEPS)

    assert paces.mean_rps("shop/web-1", STEPS) == 101.5
