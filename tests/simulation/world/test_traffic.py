from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from simulation.scenario import Scenario, parse_scenario
from simulation.traffic import Beside, Traffic
from simulation.world import World

QUIET = {"rps": 20.0, "roughness": 0.0}


def scenario_of(load: dict[str, object], **changes: object) -> Scenario:
    raw = {
        "name": "t",
        "duration_s": 600,
        "warm_up_s": 60,
        "topology": {"services": [{"name": "web", "cpu_ms": 5, "replicas": 4}]},
        "load": load,
        **changes,
    }
    return parse_scenario(yaml.safe_dump(raw), "t")


def rates(load: dict[str, object], times_s: list[float], **changes: object) -> list[float]:
    return Traffic(scenario_of(load, **changes), 1).rate_rps(np.array(times_s)).round(9).tolist()


def test_knots_are_joined_by_lines_and_hold_outside() -> None:
    load = {**QUIET, "knots": [[0, 1.0], [100, 3.0]]}

    assert rates(load, [-50, 0, 50, 100, 500]) == [20, 20, 40, 60, 60]


def test_a_day_peaks_where_it_says() -> None:
    load = {**QUIET, "diurnal": {"period_s": 400, "amplitude": 0.5, "peak_at_s": 100}}

    assert rates(load, [100, 200, 300, -300]) == [30, 20, 10, 30]


def test_a_staircase_has_equal_steps_and_begins_before_the_start() -> None:
    # 600 s in three steps of 200 s
    assert rates({**QUIET, "staircase": [1, 2, 4]}, [-10, 199, 200, 599]) == [20, 20, 40, 80]


def test_crowds_multiply_the_rate_and_are_not_in_the_history() -> None:
    ramp = {"kind": "viral_ramp", "start_s": 100, "duration_s": 200, "ramp_s": 100, "magnitude": 3.0}
    scenario = scenario_of(QUIET, faults=[ramp])
    times_s = np.array([99.0, 150.0, 250.0, 300.0])

    # half-way up the ramp: 20 × (1 + 2 × 0.5)
    assert Traffic(scenario, 1).rate_rps(times_s).tolist() == [20, 40, 60, 20]
    assert Traffic(scenario, 1).history_rps(times_s).tolist() == [20, 20, 20, 20]


def test_announced_crowds_are_declared_as_they_were_announced() -> None:
    sale = {"kind": "flash_sale", "start_s": 100, "duration_s": 60, "magnitude": 3.0}
    announced = {**sale, "announced": True, "announced_multiplier": 2.0, "ramp_s": 10}

    (event,) = Traffic(scenario_of(QUIET, faults=[sale, announced]), 1).declared_events()

    assert (event.starts_at_s, event.ends_at_s, event.multiplier, event.ramp_s) == (100, 160, 2.0, 10)


def test_roughness_has_the_mean_spread_and_memory_it_says() -> None:
    load = {"rps": 20.0, "roughness": 0.3, "roughness_tau_s": 50.0}
    times_s = np.arange(-60.0 - 80_000.0, -60.0, 10.0)
    logs = np.log(Traffic(scenario_of(load), 3).history_rps(times_s) / 20.0)

    # 1600 independent stretches of 50 s: standard errors 0.3/√1600 = 0.0075 and about 0.3/√3200 = 0.005
    assert logs.mean() == pytest.approx(-(0.3**2) / 2, abs=0.03)
    assert logs.std() == pytest.approx(0.3, abs=0.02)
    # 50 s apart: e⁻¹
    assert np.corrcoef(logs[:-5], logs[5:])[0, 1] == pytest.approx(np.exp(-1.0), abs=0.08)


def test_the_noise_of_the_run_does_not_hang_on_how_much_history_is_read() -> None:
    load = {"rps": 20.0, "roughness": 0.3}
    times_s = np.arange(0.0, 500.0, 7.0)
    plain, read_first = (Traffic(scenario_of(load), 3) for _ in range(2))

    read_first.history_rps(np.arange(-80_000.0, -60.0, 15.0))

    np.testing.assert_array_equal(plain.rate_rps(times_s), read_first.rate_rps(times_s))


def test_days_differ_in_their_noise() -> None:
    traffic = Traffic(scenario_of({"rps": 20.0, "roughness": 0.3}), 3)
    today_s = np.arange(0.0, 600.0, 15.0)

    assert np.corrcoef(traffic.rate_rps(today_s), traffic.history_rps(today_s - 86_400.0))[0, 1] < 0.9


def test_nobody_remembers_what_was_before_the_history() -> None:
    new_shop = Traffic(scenario_of(QUIET, history={"hours": 1, "days_remembered": 0}), 1)

    known = ~np.isnan(new_shop.history_rps(np.array([-3661.0, -3660.0, -60.0])))

    assert known.tolist() == [False, True, True]


def test_measured_history_is_counted_arrivals() -> None:
    traffic = Traffic(scenario_of(QUIET), 1)

    measured = traffic.measured_history_rps(-9060.0, 15.0, 600)

    # counts of a Poisson variable of mean 300: rates with standard deviation √300/15 = 1.155 around 20
    assert measured.mean() == pytest.approx(20.0, abs=0.2)
    assert measured.std() == pytest.approx(1.155, abs=0.15)
    np.testing.assert_array_equal(measured, traffic.measured_history_rps(-9060.0, 15.0, 600))


def test_clients_come_as_often_as_the_rate_says_and_in_their_shares() -> None:
    scenario = scenario_of(
        {**QUIET, "knots": [[0, 1.0], [0, 3.0]]},
        topology={
            "services": [{"name": "web", "replicas": 6}],
            "operations": [{"name": "web.a", "cpu_ms": 5}, {"name": "web.b", "cpu_ms": 5}],
            "classes": [
                {"name": "a", "share": 3, "operation": "web.a"},
                {"name": "b", "share": 1, "operation": "web.b"},
            ],
        },
    )
    world = World(scenario, 5)
    world.advance(600)
    arrived = world.engine.clients.arrived.astype(np.int64)

    # 60 s × 20 before, 600 s × 60 after: 1,200 ± 35 and 36,000 ± 190
    assert arrived[:, :60].sum() == pytest.approx(1200, abs=140)
    assert arrived[:, 60:].sum() == pytest.approx(36_000, abs=760)
    # a share of 0.75 of 37,200: ± 84
    assert arrived[0].sum() / arrived.sum() == pytest.approx(0.75, abs=0.01)


def test_streams_of_clients_are_the_same_whatever_controllers_do() -> None:
    scenario = scenario_of({"rps": 30.0, "roughness": 0.2})
    left_alone, scaled = World(scenario, 5), World(scenario, 5)

    scaled.scale("web", 9)
    for world in (left_alone, scaled):
        world.advance(600)

    np.testing.assert_array_equal(left_alone.engine.clients.arrived, scaled.engine.clients.arrived)


def test_a_trace_is_the_rate_and_its_first_minute_the_warm_up(tmp_path: Path) -> None:
    file = tmp_path / "trace.txt"
    file.write_text("\n".join(["10"] * 30 + ["30"] * 30 + ["50"] * 100), encoding="utf-8")
    load = {"roughness": 0.5, "trace": {"file": str(file)}}

    # first minute: 30 × 10 and 30 × 30, mean 20; roughness is not added to what was measured
    assert rates(load, [-1000, -1, 0, 29.9, 30, 120], duration_s=160) == [20, 20, 10, 10, 30, 50]


def test_a_trace_finer_than_a_second_is_followed_step_by_step(tmp_path: Path) -> None:
    file = tmp_path / "trace.txt"
    file.write_text("\n".join(["0", "100"] * 60), encoding="utf-8")
    load = {"trace": {"file": str(file), "step_s": 0.5}}
    world = World(scenario_of(load, duration_s=60, warm_up_s=0), 1)
    world.advance(60)

    # 60 × 0.5 s × 100/s: 3,000 ± 55
    assert world.engine.accounting().clients.arrived == pytest.approx(3000, abs=220)


@pytest.mark.parametrize(("warm_up_s", "duration_s"), [(0, 1), (0.7, 100.3), (150.5, 90)])
def test_any_length_of_warm_up_and_run_works(warm_up_s: float, duration_s: float) -> None:
    world = World(scenario_of(QUIET, duration_s=duration_s, warm_up_s=warm_up_s), 1)
    world.advance(duration_s)

    expected = 20.0 * (warm_up_s + duration_s)
    assert world.engine.accounting().clients.arrived == pytest.approx(expected, abs=5 * expected**0.5)
    assert world.engine.accounting().is_balanced()


def test_a_scale_multiplies_every_rate() -> None:
    scenario = scenario_of({"rps": 20.0, "roughness": 0.2, "knots": [[0, 1.0], [100, 3.0]]})
    times_s = np.array([-30.0, 0.0, 50.0, 500.0])

    scaled = Traffic(scenario, 1, scale=0.5).rate_rps(times_s)

    np.testing.assert_allclose(scaled, 0.5 * Traffic(scenario, 1).rate_rps(times_s))


def test_with_a_shorter_warm_up_the_noise_can_stay_where_it_was() -> None:
    load = {"rps": 20.0, "roughness": 0.3}
    whole, short = scenario_of(load, warm_up_s=240), scenario_of(load, warm_up_s=60)
    times_s = np.array([-60.0, 0.0, 50.0, 500.0])

    kept = Traffic(short, 1, noise_from_s=-240.0).rate_rps(times_s)

    np.testing.assert_allclose(kept, Traffic(whole, 1).rate_rps(times_s))
    assert not np.allclose(Traffic(short, 1).rate_rps(times_s), kept)


def test_a_world_can_be_given_other_clients() -> None:
    scenario = scenario_of(QUIET)

    world = World(scenario, 1, Traffic(scenario, 1, scale=0.0))
    world.advance(0.0)

    assert world.engine.accounting().clients.arrived == 0


def test_requests_beside_the_load_come_at_even_distances_and_are_not_scaled() -> None:
    scenario = scenario_of(QUIET, duration_s=400)
    traffic = Traffic(scenario, 1, scale=0.0, beside=(Beside(0, 0.5),))

    world = World(scenario, 1, traffic)
    world.advance(400.0)

    # 0.5 a second over 60 s of warm-up and 400 s.
    assert world.engine.accounting().clients.arrived == 230
    assert traffic.rate_rps(np.array([10.0])).tolist() == [0.0]
