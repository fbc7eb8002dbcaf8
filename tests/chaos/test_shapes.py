from datetime import UTC, datetime

import numpy as np
import pytest

from chaos.load.shapes import LoadShape, ShapeInvalid, replayed, shaped
from simulation.scenario import ScenarioInvalid, load_scenario, trace_of


def rates(shape, *times_s):
    return shape.rates_rps()(np.array(times_s, dtype=np.float64)).tolist()


def test_constant_stays():
    assert rates(shaped("constant", 20.0, 60.0, 1), 0.0, 30.0, 59.0) == [20.0, 20.0, 20.0]


def test_a_day_in_the_time_of_the_run_peaks_in_its_middle():
    # 20 × (1 ± 0.6): trough 8 at the ends, peak 32 in the middle, 20 at the quarters.
    assert rates(shaped("diurnal", 20.0, 1200.0, 1), 0.0, 300.0, 600.0, 900.0) == pytest.approx([8, 20, 32, 20])


def test_a_flash_sale_brings_ten_times_as_many_within_five_seconds():
    sale = shaped("flash-sale", 20.0, 120.0, 1)

    # It begins at 40 s; halfway up its ramp, at 42.5 s, come 1 + 9 × 0.5 = 5.5 times as many; it ends at 80 s.
    assert rates(sale, 39.9, 42.5, 45.0, 79.9, 80.1) == pytest.approx([20.0, 110.0, 200.0, 200.0, 20.0])


def test_a_ramp_climbs_to_three_times_the_rate():
    assert rates(shaped("ramp", 10.0, 100.0, 1), 0.0, 50.0, 100.0) == pytest.approx([10.0, 20.0, 30.0])


def test_spikes_come_four_times():
    # Periods of 100 s; each spike starts in the middle of its period, lasts 25 s and reaches 4 times the rate.
    spikes = shaped("spikes", 10.0, 400.0, 1)

    assert rates(spikes, 10.0, 60.0, 74.0, 76.0, 160.0, 260.0, 360.0) == pytest.approx([10, 40, 40, 10, 40, 40, 40])


def test_a_staircase_has_five_equal_steps():
    assert rates(shaped("staircase", 10.0, 50.0, 1), 5.0, 15.0, 25.0, 35.0, 45.0) == pytest.approx([10, 20, 30, 40, 50])


def test_a_trace_is_replayed_at_the_mean_that_is_asked_for(tmp_path):
    file = tmp_path / "rates.csv"
    file.write_text("value\n1\n3\n2\n")

    shape = replayed(trace_of({"file": str(file), "step_s": 10, "mean_rps": 8}, "--trace"), 1)

    # Mean 2 becomes 8: times 4.
    assert shape.duration_s == 30.0
    assert rates(shape, 5.0, 15.0, 25.0) == pytest.approx([4.0, 12.0, 8.0])


def test_a_trace_at_its_peak_and_cut_short(tmp_path):
    file = tmp_path / "rates.csv"
    file.write_text("value\n1\n4\n2\n")

    shape = replayed(trace_of({"file": str(file), "step_s": 10, "peak_rps": 20}, "--trace"), 1, duration_s=20.0)

    assert shape.duration_s == 20.0
    assert rates(shape, 5.0, 15.0) == pytest.approx([5.0, 20.0])


def test_a_scenarios_own_load_and_crowd_run_compressed_and_scaled():
    scenario = load_scenario("flash-sale-announced")
    noiseless = scenario.model_copy(update={"load": scenario.load.model_copy(update={"roughness": 0.0})})

    shape = LoadShape(noiseless, seed=1, faster=10.0, scale=0.5)

    # 60/s, 3.5 times that from 600 to 1200 s: at a tenth of the time and half of the rate.
    assert shape.duration_s == 180.0
    assert rates(shape, 50.0, 70.0, 130.0) == pytest.approx([30.0, 105.0, 30.0])


def test_announced_crowds_are_declared_with_their_times_on_the_clock():
    shape = LoadShape(load_scenario("flash-sale-announced"), seed=1, faster=10.0)

    assert shape.declared_events(datetime(2026, 11, 21, 12, 0, tzinfo=UTC)) == [
        {
            "name": "flash_sale-0",
            "starts_at": "2026-11-21T12:01:00.000+00:00",
            "ends_at": "2026-11-21T12:02:00.000+00:00",
            "starts_at_s": 60.0,
            "ends_at_s": 120.0,
            "ramp_s": 3.0,
            "multiplier": 3.5,
        }
    ]


def test_a_crowd_that_nobody_announced_is_not_declared_and_comes_all_the_same():
    quiet, told = (shaped("flash-sale", 20.0, 120.0, 1, announced=announced) for announced in (False, True))

    assert quiet.declared_events(datetime(2026, 1, 1, tzinfo=UTC)) == []
    assert len(told.declared_events(datetime(2026, 1, 1, tzinfo=UTC))) == 1
    assert rates(quiet, 50.0) == rates(told, 50.0)


def test_an_unknown_shape_is_refused_with_the_known_ones():
    with pytest.raises(ShapeInvalid, match=r"'wave': use one of constant, .*flash-sale"):
        shaped("wave", 20.0, 60.0, 1)


def test_a_ramp_cannot_be_announced():
    with pytest.raises(ShapeInvalid, match="no event to announce"):
        shaped("ramp", 20.0, 60.0, 1, announced=True)


def test_a_rate_that_is_too_high_is_refused():
    with pytest.raises(ScenarioInvalid, match="--shape constant"):
        shaped("constant", 1e9, 60.0, 1)


def test_a_lead_in_plays_the_warm_up_first():
    sale = LoadShape(load_scenario("flash-sale-announced"), seed=1, lead_in_s=300.0)
    alone = LoadShape(load_scenario("flash-sale-announced"), seed=1)

    # 300 s of warm-up before 1800 s; what the scenario has at t = 700 comes at 1000 s.
    assert sale.duration_s == 2100.0
    assert rates(sale, 1000.0) == pytest.approx(rates(alone, 700.0))
    [event] = sale.declared_events(datetime(2026, 1, 1, tzinfo=UTC))
    assert (event["starts_at_s"], event["ends_at_s"]) == (900.0, 1500.0)


def test_a_shop_settles_at_the_rate_with_which_the_warm_up_begins():
    whole = load_scenario("flash-sale-announced")
    settling = LoadShape(whole, seed=1, lead_in_s=300.0, settle_s=100.0)
    settled = LoadShape(whole, seed=1, lead_in_s=300.0)

    # It is reached within 50 s; then everything is as without, 100 s later.
    [first] = rates(settled, 0.0)
    assert rates(settling, 0.0, 25.0, 50.0, 99.0) == pytest.approx([0.0, first / 2.0, first, first])
    assert rates(settling, 100.0, 700.0) == pytest.approx(rates(settled, 0.0, 600.0))
    assert (settling.zero_s, settling.duration_s) == (400.0, 2200.0)
    [event] = settling.declared_events(datetime(2026, 1, 1, tzinfo=UTC))
    assert event["starts_at_s"] == 1000.0
