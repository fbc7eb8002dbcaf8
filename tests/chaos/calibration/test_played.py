import numpy as np
import pytest

from chaos.comparison.played import Played, as_played, played_traffic, with_measured, without_probes
from chaos.experiments.problems import FolderInvalid
from chaos.load.shapes import LoadShape
from simulation.run import run
from simulation.topology import Topology

PLAYED = Played(scale=0.25, warm_up_s=60.0)
SALE = {"kind": "flash_sale", "start_s": 30, "duration_s": 60, "magnitude": 4, "ramp_s": 10}


@pytest.mark.parametrize(
    "load",
    [
        pytest.param({"rps": 20, "roughness": 0.3}, id="noise"),
        pytest.param({"rps": 20, "roughness": 0.3, "knots": [[0, 1.0], [100, 3.0]]}, id="knots"),
        pytest.param({"rps": 20, "roughness": 0.0, "diurnal": {"period_s": 300}}, id="day"),
    ],
)
def test_simulated_clients_come_at_the_rates_of_the_live_load(scenario, load):
    whole = scenario(load=load, faults=[SALE])
    shape = LoadShape(whole, seed=3, scale=0.25, lead_in_s=60.0)
    since_load_began_s = np.arange(0.0, 180.0)

    simulated = played_traffic(whole, 3, PLAYED).rate_rps(since_load_began_s - 60.0)

    np.testing.assert_allclose(simulated, shape.rates_rps()(since_load_began_s))


def test_a_trace_is_scaled_too(scenario, tmp_path):
    (tmp_path / "trace.csv").write_text("".join(f"{10 + second % 7}\n" for second in range(120)))
    traced = scenario(load={"trace": {"file": str(tmp_path / "trace.csv")}})

    # 10, 11, 12 requests/s in the first three seconds, a quarter of each.
    assert played_traffic(traced, 1, PLAYED).rate_rps(np.array([0.5, 1.5, 2.5])).tolist() == [2.5, 2.75, 3.0]


def test_the_simulated_shop_begins_like_the_live_one(scenario):
    played = as_played(scenario(), PLAYED)

    # Of the shop's services the gateway begins with six pods and its HPA's minimum is two; postgres has no HPA.
    assert played.topology.service("gateway").replicas == 2
    assert played.topology.service("postgres").replicas == 2
    assert played.warm_up_s == 60.0
    assert (played.history.hours, played.history.days_remembered) == (0.0, 0)


def test_what_was_configured_stays_the_scenarios_and_the_rest_is_measured(scenario):
    own = scenario().topology
    raw = own.model_dump(mode="json")
    raw["services"][0] |= {"cpu_request": 0.3, "hpa": None, "hop_ms": 3.0}
    raw["operations"][0]["cpu_ms"] = 99.0
    raw["classes"][0] |= {"share": 0.9, "patience_s": 1.0}
    raw["nodes"] = [{"zone": "a", "count": 3}]

    joined = with_measured(own, Topology.model_validate(raw))

    gateway = joined.services[0]
    assert (gateway.cpu_request, gateway.hpa, gateway.hop_ms) == (0.6, own.services[0].hpa, 3.0)
    assert joined.operations[0].cpu_ms == 99.0
    assert (joined.classes[0].share, joined.classes[0].patience_s) == (0.9, 10.0)
    assert len(joined.node_groups) == 3


def test_the_topology_of_another_shop_is_refused(scenario):
    other = Topology.model_validate({"services": [{"name": "web", "cpu_ms": 5}]})

    with pytest.raises(FolderInvalid, match="--topology: its services are web, those of the experiment cart, catalog"):
        with_measured(scenario().topology, other)


def test_a_probes_requests_come_beside_the_load_and_are_not_scored(scenario):
    short = scenario(load={"rps": 20, "roughness": 0.0})
    played = Played(scale=0.0, warm_up_s=60.0, probe_hz=2.0)

    result = run(as_played(short, played), "hpa-default", 1, traffic=played_traffic(short, 1, played))

    # Two carts and two orders a second for two minutes.
    assert result.client.arrived.sum(axis=1).tolist() == [0, 0, 0, 0, 240, 240]
    assert without_probes(result.client, short).arrived.sum() == 0
    assert result.client.latency_histogram.sum() == 0
    assert result.orders.attempted == 0
