from __future__ import annotations

import pytest

from policies.decision import Decision, EvictPod, SetFloor, SetTraffic
from policies.model import Mode
from simulation.result import Resize
from simulation.scenario import Scenario
from simulation.scoring.blame import blamed
from simulation.scoring.downtime import Spell, health
from simulation.scoring.fault_outcome import fault_outcomes, time_to_detect_s, time_to_recover_s


def outcomes_of(run):
    return fault_outcomes(run, health(run.client))


def decision(at_s, *actions, workload="shop/checkout"):
    return Decision(f"d-{at_s}", at_s, workload, Mode.ENFORCE, actions, ())


def floor(replicas, workload="shop/checkout"):
    return SetFloor(workload, replicas, 1e9)


def test_recovery_runs_from_the_first_down_second_to_the_clean_thirty(made_run, made_fault):
    # 5 bad each second from 50 to 60: down from 50 (5 bad) to 69 (second 60 is in the window until 69)
    run = made_run(seconds=200, failed=dict.fromkeys(range(50, 61), 5), faults=(made_fault(45, 80),))

    (outcome,) = outcomes_of(run)

    assert (outcome.first_down_s, outcome.recovered_s, outcome.down_s) == (50, 70, 20)
    assert outcome.time_to_recover_s == 20
    assert time_to_recover_s([outcome]) == 20


def test_a_fault_without_a_down_second_has_no_time_to_recover(made_run, made_fault):
    (outcome,) = outcomes_of(made_run(seconds=200, failed={50: 4}, faults=(made_fault(45, 80),)))

    assert not outcome.hurt
    assert not outcome.censored
    assert time_to_recover_s([outcome]) is None


def test_an_unfinished_recovery_is_censored_and_not_averaged(made_run, made_fault):
    run = made_run(seconds=100, failed={80: 5}, faults=(made_fault(75, 99),))

    (outcome,) = outcomes_of(run)

    assert outcome.censored
    assert time_to_recover_s([outcome]) is None


def test_an_outage_belongs_to_the_fault_that_started_last(made_run, made_fault):
    leak, crash = made_fault(0, 500, "memory_leak", 0), made_fault(100, 160, "pod_crash", 1)
    run = made_run(seconds=600, failed=dict.fromkeys(range(80, 130), 5), faults=(leak, crash))

    assert blamed(Spell(120, 130, True), run) is crash
    assert blamed(Spell(90, 130, True), run) is leak


@pytest.mark.parametrize("trouble", ["failing", "slower"])
def test_an_outage_belongs_to_the_fault_whose_service_is_in_trouble(made_run, made_fault, trouble):
    # checkout is in trouble at 120, the gateway is not, though its fault started later
    leak = made_fault(50, 500, "memory_leak", 0)
    slow = made_fault(100, 500, "slow_dependency", 1, targets=("gateway",))
    run = made_run(seconds=600, faults=(leak, slow))
    if trouble == "failing":
        run.services.failed_rps[1, 115:130] = 1.0  # of 11
    else:
        run.services.p99_ms[1, 111:140] = 181.0  # 90 before

    assert blamed(Spell(120, 130, True), run) is leak


def test_the_fault_where_the_trouble_comes_from_goes_before_one_that_only_suffers(made_run, made_fault, made_scenario):
    # gateway calls checkout: both fail, so it is checkout's fault
    raw = made_scenario(600).model_dump()
    raw["topology"]["operations"][0]["calls"] = [{"to": "checkout.request"}]
    leak = made_fault(50, 500, "memory_leak", 0)
    slow = made_fault(100, 500, "slow_dependency", 1, targets=("gateway",))
    failed = dict.fromkeys(range(115, 130), 5)

    run = made_run(seconds=600, scenario=Scenario.model_validate(raw), faults=(leak, slow), failed=failed)
    apart = made_run(seconds=600, faults=(leak, slow), failed=failed)

    assert blamed(Spell(120, 130, True), run) is leak
    assert blamed(Spell(120, 130, True), apart) is slow  # where nobody calls anybody, the last to start


def test_a_fault_that_still_runs_goes_before_one_that_is_over(made_run, made_fault):
    disk, node = made_fault(0, 500, "disk_fill", 0), made_fault(50, 100, "node_loss", 1)
    run = made_run(seconds=600, faults=(disk, node), failed=dict.fromkeys(range(145, 160), 5))

    assert blamed(Spell(150, 160, True), run) is disk


def test_a_fault_that_names_no_service_is_not_ruled_out(made_run, made_fault):
    leak, lost = made_fault(50, 500, "memory_leak", 0), made_fault(100, 500, "node_loss", 1, targets=("node-a-1",))

    assert blamed(Spell(120, 130, True), made_run(seconds=600, faults=(leak, lost))) is lost


def test_a_fault_of_the_control_plane_is_blamed_only_when_it_is_alone(made_run, made_fault):
    crowd, blind = made_fault(0, 500, "flash_sale", 0), made_fault(100, 200, "metrics_outage", 1, targets=())

    assert blamed(Spell(120, 130, True), made_run(seconds=600, faults=(crowd, blind))) is crowd
    assert blamed(Spell(120, 130, True), made_run(seconds=600, faults=(blind,))) is blind


def test_an_outage_long_after_every_fault_is_nobodys(made_run, made_fault):
    # the grace is 300 s: an end at 200 explains until 500
    run = made_run(seconds=600, faults=(made_fault(100, 200),))

    assert blamed(Spell(499, 510, True), run) is not None
    assert blamed(Spell(500, 510, True), run) is None


def test_a_fault_that_begins_in_anothers_outage_is_masked_and_not_averted(made_run, made_fault):
    # down 50-89 by the leak; the crash at 70 has no outage of its own
    leak, crash = made_fault(40, 100, "memory_leak", 0), made_fault(70, 100, "pod_crash", 1)
    run = made_run(seconds=200, failed=dict.fromkeys(range(50, 81), 5), faults=(leak, crash))

    first, second = outcomes_of(run)

    assert (first.hurt, first.masked) == (True, False)
    assert (second.hurt, second.masked) == (False, True)


def test_detection_counts_from_the_first_bad_request(made_run, made_fault):
    # one bad at 48, five at 50: down from 50, first harm at 48 (within the 10 s that made 50 down); drained at 55
    act = decision(55, SetTraffic("shop/checkout", "checkout-1", on=False, expires_at_s=600))
    run = made_run(seconds=200, failed={48: 1, 50: 5}, faults=(made_fault(45, 80),), decisions=(act,))

    (outcome,) = outcomes_of(run)

    assert outcome.first_harm_s == 48
    assert time_to_detect_s([outcome]) == 7


def test_detection_ahead_of_harm_is_negative(made_run, made_fault):
    act = decision(30, EvictPod("shop/checkout", "checkout-1"))
    run = made_run(seconds=200, failed={50: 5}, faults=(made_fault(20, 80),), decisions=(act,))

    assert time_to_detect_s(outcomes_of(run)) == -20


def test_a_decision_on_something_else_detects_nothing(made_run, made_fault):
    act = decision(55, SetTraffic("shop/gateway", "gateway-1", on=False, expires_at_s=600), workload="shop/gateway")
    run = made_run(seconds=200, failed={50: 5}, faults=(made_fault(45, 80),), decisions=(act,))

    assert outcomes_of(run)[0].detected_s is None
    assert time_to_detect_s(outcomes_of(run)) is None


def test_renewing_or_lowering_a_floor_detects_nothing_and_raising_it_does(made_run, made_fault):
    acts = (decision(40, floor(4)), decision(55, floor(4)), decision(70, floor(3)), decision(75, floor(5)))
    run = made_run(seconds=200, failed={50: 5}, faults=(made_fault(45, 80),), decisions=acts)

    assert outcomes_of(run)[0].detected_s == 75


def test_an_autoscaler_detects_by_resizing_upwards(made_run, made_fault):
    # 46 is before the harm at 50: nothing that an autoscaler could have known
    resizes = (
        Resize(46, "checkout", 3, 4, "hpa"),
        Resize(52, "checkout", 4, 3, "hpa"),
        Resize(58, "gateway", 2, 4, "hpa"),
        Resize(65, "checkout", 3, 5, "hpa"),
    )
    run = made_run(seconds=200, failed={50: 5}, faults=(made_fault(45, 80),), resizes=resizes)

    assert outcomes_of(run)[0].detected_s == 65


@pytest.mark.parametrize(
    ("announced", "detected_s"), [pytest.param(True, 10, id="announced"), pytest.param(False, None, id="unannounced")]
)
def test_a_decision_before_the_crowd_is_about_it_only_when_announced(
    made_run, made_fault, made_scenario, announced, detected_s
):
    crowd = {"kind": "flash_sale", "start_s": 100, "duration_s": 50, "announced": announced}
    run = made_run(
        seconds=200,
        scenario=made_scenario(200, [crowd]),
        faults=(made_fault(100, 150, "flash_sale", targets=("gateway", "checkout")),),
        decisions=(decision(-10, floor(2)), decision(10, floor(6))),
    )

    assert outcomes_of(run)[0].detected_s == detected_s


def test_the_first_floor_above_what_the_autoscaler_keeps_detects(made_run, made_fault):
    # One pod of gateway is kept.
    first = decision(60, floor(4, "shop/gateway"), workload="shop/gateway")
    hurt = made_fault(45, 80, targets=("gateway",))

    assert outcomes_of(made_run(seconds=200, failed={50: 5}, faults=(hurt,), decisions=(first,)))[0].detected_s == 60


def test_what_was_decided_in_the_warm_up_detects_nothing(made_run, made_fault, made_scenario):
    crowd = {"kind": "flash_sale", "start_s": 100, "duration_s": 50, "announced": True}
    run = made_run(
        seconds=200,
        scenario=made_scenario(200, [crowd]),
        faults=(made_fault(100, 150, "flash_sale", targets=("gateway", "checkout")),),
        decisions=(decision(-60, floor(6)),),
    )

    assert outcomes_of(run)[0].detected_s is None


def test_more_pods_before_the_harm_are_routine_unless_a_crowd_comes(made_run, made_fault):
    more = (Resize(46, "checkout", 3, 4, "hpa"),)
    crash = made_run(seconds=200, failed={50: 5}, faults=(made_fault(45, 80),), resizes=more)
    crowd = made_run(seconds=200, failed={50: 5}, faults=(made_fault(45, 80, "viral_ramp"),), resizes=more)

    assert outcomes_of(crash)[0].detected_s is None
    assert time_to_detect_s(outcomes_of(crowd)) == -4


def test_harm_of_the_baseline_dates_the_detection_of_an_averted_fault(made_run, made_fault):
    hurt = made_run(seconds=200, failed={90: 5}, faults=(made_fault(20, 150),))
    act = decision(60, EvictPod("shop/checkout", "checkout-1"))
    averted = made_run(seconds=200, faults=(made_fault(20, 150),), decisions=(act,))

    assert time_to_detect_s(outcomes_of(averted)) is None
    # decided at 60, would have hurt at 90
    assert time_to_detect_s(outcomes_of(averted), outcomes_of(hurt)) == -30
