"""/metrics of a leader over a small shop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from small_world import API, START_S, WEB, SmallShop, make_loop, policies

from foresail.lead import Lead, Periods
from foresail.telemetry.metrics import Telemetry
from foresail.telemetry.roster import Roster
from foresail.tick_report import TakeOver, TickReport
from policies.decision import SetFloor
from policies.model import Mode, PolicySet

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class NoShelf:
    def read(self) -> None: ...

    def write(self, value: object, now_s: float) -> bool:
        return True


def report(shop: SmallShop | None = None, declared: PolicySet | None = None) -> TickReport:
    shop = shop or SmallShop()
    lead = Lead(make_loop, shop, shop, NoShelf(), Periods(), 1)  # type: ignore[arg-type]
    return lead.tick(declared or policies(), START_S)


def scraped(telemetry: Telemetry) -> Samples:
    text = generate_latest(telemetry.registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))


def test_a_tick_tells_demand_floor_risk_and_calibration() -> None:
    telemetry = Telemetry(100)

    telemetry.ticked(report())

    samples = scraped(telemetry)
    assert of(samples, "foresail_demand_rps", workload=WEB) == 63.0
    assert of(samples, "foresail_floor", workload=WEB) == 9.0
    # 63 requests/s in all futures and one pod that carries 10; three requests/s fit.
    assert of(samples, "foresail_risk", workload=WEB, signal="demand") == 1.0
    assert of(samples, "foresail_risk", workload=API, signal="demand") == 0.0
    assert of(samples, "foresail_risk", workload=WEB, signal="memory") == 0.0
    assert of(samples, "foresail_calibration_coverage", workload=WEB, band="80") == 0.8
    assert of(samples, "foresail_calibration_coverage", workload=WEB, band="98") is None


def test_forecasts_are_told_by_horizon_and_quantile_at_issue() -> None:
    telemetry = Telemetry(100)

    telemetry.ticked(report())

    samples = scraped(telemetry)
    labels = {"workload": WEB, "quantile": "0.95", "model": "last-value"}
    assert of(samples, "foresail_forecast", signal="demand", horizon_s="300", **labels) == 63.0
    assert of(samples, "foresail_forecast", signal="memory", horizon_s="3600", **labels) == 200.0
    # Two workloads' demand at three horizons and one signal at three, each by five quantiles.
    assert sum(name == "foresail_forecast" for name, _ in samples) == 45


def test_the_worst_pod_speaks_for_its_workload() -> None:
    told = report()
    assert told.seen is not None and told.seen.signals is not None and told.signals is not None
    target = told.seen.signals.targets[0]
    targets = (target, replace(target, member="web-1"))
    history = replace(told.seen.signals, targets=targets, values=np.full((2, 60), 200.0), limits=np.full(2, 512.0))
    forecast = replace(
        told.signals,
        series=tuple(one.key for one in targets),
        quantiles=np.concatenate([told.signals.quantiles, 2.0 * told.signals.quantiles]),
        paths=np.concatenate([told.signals.paths, 3.0 * told.signals.paths]),
    )
    telemetry = Telemetry(100)

    telemetry.ticked(replace(told, seen=replace(told.seen, signals=history), signals=forecast))

    labels = {"workload": WEB, "signal": "memory"}
    value = of(scraped(telemetry), "foresail_forecast", horizon_s="300", quantile="0.5", model="last-value", **labels)
    assert value == 400.0


def test_unknown_demand_is_left_out_and_not_zero() -> None:
    told = report()
    assert told.seen is not None
    unknown = tuple(replace(one, offered_rps=None) for one in told.seen.workloads)
    telemetry = Telemetry(100)

    telemetry.ticked(replace(told, seen=replace(told.seen, workloads=unknown)))

    assert of(scraped(telemetry), "foresail_demand_rps", workload=WEB) is None


def test_a_blind_tick_leaves_nothing_of_the_one_before() -> None:
    telemetry, shop = Telemetry(100), SmallShop()
    telemetry.ticked(report(shop))
    shop.blind = True

    telemetry.ticked(report(shop))

    samples = scraped(telemetry)
    assert of(samples, "foresail_demand_rps", workload=WEB) is None
    assert of(samples, "foresail_decisions_total", workload=WEB, reason="no_metrics") == 1.0


def test_workloads_beyond_the_cap_are_counted_and_not_exported() -> None:
    telemetry = Telemetry(1)

    telemetry.ticked(report())

    samples = scraped(telemetry)
    assert of(samples, "foresail_demand_rps", workload=WEB) == 63.0
    assert of(samples, "foresail_demand_rps", workload=API) is None
    assert of(samples, "foresail_workloads_left_out") == 1.0


def test_series_of_a_workload_that_is_gone_are_gone() -> None:
    telemetry = Telemetry(100)
    telemetry.ticked(report())

    telemetry.ticked(report(declared=policies(Mode.ENFORCE, API)))

    assert not [labels for _, labels in scraped(telemetry) if ("workload", WEB) in labels]


def test_decisions_are_counted_by_their_first_reason_and_acts_by_kind() -> None:
    telemetry = Telemetry(100)

    telemetry.ticked(report())
    telemetry.ticked(report())

    samples = scraped(telemetry)
    assert of(samples, "foresail_decisions_total", workload=WEB, reason="demand_expected") == 2.0
    assert of(samples, "foresail_actions_total", action="SetFloor") == 2.0
    assert of(samples, "foresail_refused_writes_total", action="SetFloor") is None


def test_refused_writes_are_no_acts() -> None:
    telemetry = Telemetry(100)

    telemetry.ticked(report(SmallShop(refuses=True)))

    samples = scraped(telemetry)
    assert of(samples, "foresail_refused_writes_total", action="SetFloor") == 1.0
    assert of(samples, "foresail_actions_total", action="SetFloor") is None


def test_vetoes_are_counted_by_reason() -> None:
    telemetry = Telemetry(100)

    telemetry.ticked(report(declared=replace(policies(), kill_switch=True)))

    assert of(scraped(telemetry), "foresail_vetoes_total", reason="kill_switch") == 1.0


def test_who_follows_tells_nothing_of_workloads() -> None:
    telemetry = Telemetry(100)
    telemetry.ticked(report())

    telemetry.follows()

    assert of(scraped(telemetry), "foresail_demand_rps", workload=WEB) is None


def test_terms_queries_and_gauges_are_told() -> None:
    telemetry = Telemetry(100)
    telemetry.took_over(TakeOver(START_S, 2, None, "damaged"))
    telemetry.query_took("demand", 0.02)
    telemetry.unknown("demand", "timed_out", 2)
    telemetry.refused("contested")
    telemetry.add_gauge("foresail_known", "A thing that is known.", lambda: 4.0)
    telemetry.add_gauge("foresail_unknown", "A thing that is not.", lambda: None)
    telemetry.add_count("foresail_dropped", "Things dropped.", lambda: 3.0)

    samples = scraped(telemetry)

    assert of(samples, "foresail_terms_total", memory="fresh") == 1.0
    assert of(samples, "foresail_prometheus_query_seconds_count", query="demand") == 1.0
    assert of(samples, "foresail_prometheus_unknown_total", query="demand", reason="timed_out") == 2.0
    assert of(samples, "foresail_refusals_total", reason="contested") == 1.0
    assert of(samples, "foresail_known") == 4.0 and of(samples, "foresail_unknown") is None
    assert of(samples, "foresail_dropped_total") == 3.0


def test_actions_that_are_no_keys_are_counted_too() -> None:
    told = report()
    decision = replace(told.decisions[0], actions=(SetFloor(WEB, 3, START_S),))
    telemetry = Telemetry(100)

    telemetry.ticked(replace(told, decisions=(decision,), refused=((decision.id, SetFloor(WEB, 3, START_S)),)))

    assert of(scraped(telemetry), "foresail_refused_writes_total", action="SetFloor") == 1.0


@pytest.mark.parametrize(
    ("present", "exported", "left_out"),
    [
        pytest.param("abc", "ab", 1, id="first-come"),
        pytest.param("cba", "ab", 1, id="those-that-have-series-keep-them"),
        pytest.param("cb", "bc", 0, id="room-is-used-again"),
        pytest.param("", "", 0, id="none"),
    ],
)
def test_the_roster_keeps_its_members(present: str, exported: str, left_out: int) -> None:
    roster = Roster(2)
    roster.update("ab")

    assert roster.update(present) == frozenset(exported)
    assert roster.left_out == left_out
