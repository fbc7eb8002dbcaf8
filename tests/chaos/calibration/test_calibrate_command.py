"""`foresail calibrate` on experiments that were simulated with a shop that is known: it has to be found again."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from chaos.experiments.state import RunState
from foresail.cli import app
from simulation.scenario import load_topology
from simulation.topology import Topology
from simulation.visits import visits_per_operation

#: Low and high tides, five minutes each: pods come and go.
TIDES = {"rps": 60, "roughness": 0.1, "knots": [[0, 1.0], [50, 1.0], [60, 3.0], [300, 3.0], [310, 1.0]]}


def calibrate(*arguments):
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)])


@pytest.fixture(scope="session")
def truth(scenario) -> Topology:
    """The shop as it really is: what requests cost and how fast pods start is not what the scenario's file says."""
    raw = scenario().topology.model_dump(mode="json", exclude_unset=True)
    for operation in raw["operations"]:
        operation["cpu_ms"] *= 1.5 if operation["name"].startswith("catalog") else 0.7
    for service in raw["services"]:
        service["startup"] |= {"image_pull_s": 1, "cached_pull_s": 1, "time_s": 6.0}
    return Topology.model_validate(raw)


@pytest.fixture(scope="session")
def tides(live_folder, scenario, truth):
    """Two finished runs of the real shop, with five orders a second of a probe."""
    played = scenario(name="tides", duration_s=600, load=TIDES)
    folder = live_folder(played, probe_hz=5.0)
    for seed in (1, 2):
        folder.play(played, "hpa-tuned", seed, truth=truth)
    return folder


@pytest.fixture(scope="session")
def found(tides):
    """What calibrating said, as JSON, and the file that it wrote."""
    file = tides.path.parent / "calibrated.yaml"
    result = calibrate(tides.path, "--out", file, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), file


def work_ms(topology, service):
    """CPU of a service for one request of a client."""
    visits = visits_per_operation(topology)
    own = [o for o in topology.operations if o.name.startswith(f"{service}.")]
    return sum(visits[o.name] * o.cpu_ms for o in own)


def fits(found):
    return {fit["parameter"]: fit for fit in found[0]["fits"]}


@pytest.mark.parametrize("service", ["gateway", "catalog", "cart", "checkout", "recommendations", "postgres", "redis"])
def test_what_requests_cost_is_found_again(found, truth, service):
    calibrated = load_topology(found[1])

    assert work_ms(calibrated, service) == pytest.approx(work_ms(truth, service), rel=0.1)
    assert fits(found)[f"operations.{service}.*.cpu_ms"]["used"]


def test_a_services_operations_keep_their_proportions(found, scenario):
    before, now = ({o.name: o.cpu_ms for o in t.operations} for t in (scenario().topology, load_topology(found[1])))

    factors = {now[name] / before[name] for name in now if name.startswith("catalog.")}
    assert max(factors) == pytest.approx(min(factors))


def test_capacity_is_what_a_pod_can_answer(found):
    # A page costs 14.76 × 0.7 ms of the one core of a gateway on average: 96.8 a second.
    capacity = fits(found)["services.gateway.capacity"]["measured"]

    assert capacity["value"] == pytest.approx(96.8, rel=0.05)
    assert capacity["low"] < capacity["value"] < capacity["high"]


def test_the_time_that_pods_take_is_found_again(found):
    startup = load_topology(found[1]).service("catalog").startup

    # The start alone is 6 s; readings once a second and a probe every 5 s blur it.
    assert startup.time_s == pytest.approx(6.0, abs=1.5)
    assert (startup.image_pull_s, startup.cached_pull_s) == (1.0, 1.0)


def test_what_had_too_few_samples_stays_as_it_was_and_says_so(found, scenario):
    # Payment has two pods all the time: nothing is known of how they start.
    fit = fits(found)["services.payment.lead_time"]

    assert fit["measured"]["value"] is None and not fit["used"]
    assert "0 pods of 0 changes, at least 8 of 2 are needed" in fit["left"]
    assert load_topology(found[1]).service("payment").startup == scenario().topology.service("payment").startup


def test_the_file_says_what_was_measured_from_what_and_what_cannot_be(found):
    text = found[1].read_text()

    assert "# The shop as 2 live runs show it: tides under hpa-tuned, seed 1 2." in text
    assert "operations.gateway.*.cpu_ms: 14.7" in text
    assert "services.*.memory_base_mib, memory_per_request_mib: memory is not among the rows" in text


def test_the_file_is_read_as_the_topology_that_was_found(found):
    assert load_topology(found[1]) == Topology.model_validate(found[0]["topology"])


def test_with_it_the_simulator_tells_the_truth_about_the_runs(tides, found):
    def claims(*options):
        result = CliRunner().invoke(app, ["chaos", "compare", str(tides.path), "--json", "--jobs", "1", *options])
        return [verdict["close"] for verdict in json.loads(result.stdout)["verdicts"]]

    assert claims("--topology", str(found[1]))[:2] == [1, 1]
    assert claims()[:2] != [1, 1]


def test_without_json_every_parameter_is_a_line(tides, tmp_path):
    result = calibrate(tides.path, "--out", tmp_path / "new" / "c.yaml", "--arm", "hpa-tuned", "--scenario", "tides")

    assert result.exit_code == 0
    assert "  measured  classes.browse.share: 0.62 → 0.6" in result.stdout
    assert "as it was  services.payment.lead_time: 15.5 → unknown s" in result.stdout
    assert (tmp_path / "new" / "c.yaml").is_file()


def test_from_a_short_quiet_run_costs_are_unknown_and_nothing_is_changed_but_shares(live_folder, scenario, tmp_path):
    steady = scenario(load={"rps": 10, "roughness": 0.0}, warm_up_s=60)
    folder = live_folder(steady)
    folder.play(steady, "hpa-tuned", 1)

    told = json.loads(calibrate(folder.path, "--out", tmp_path / "c.yaml", "--json").stdout)

    assert {fit["parameter"].split(".")[0] for fit in told["fits"] if fit["used"]} <= {"classes", "operations"}
    calibrated = load_topology(tmp_path / "c.yaml")
    assert [o.cpu_ms for o in calibrated.operations] == [o.cpu_ms for o in steady.topology.operations]
    assert calibrated.services == steady.topology.services


def test_gaps_and_values_that_are_none_change_little(tides, found, tmp_path):
    """A third of Prometheus' rows is lost, some values are NaN, and the API server was silent for a minute."""
    for folder in sorted((tides.path / "tides" / "runs").iterdir()):
        for name, keep in (("pods.csv", lambda i: i % 3), ("workloads.csv", lambda i: not 2000 < i < 2600)):
            rows = (folder / name).read_text().splitlines()
            copy = tmp_path / "live" / folder.relative_to(tides.path)
            copy.mkdir(parents=True, exist_ok=True)
            kept = [row for i, row in enumerate(rows) if i == 0 or keep(i)]
            if name == "pods.csv":
                kept = [
                    ",".join([*row.split(",")[:-1], "nan"]) if i and i % 7 == 0 else row for i, row in enumerate(kept)
                ]
            (copy / name).write_text("\n".join(kept) + "\n")
        (copy / "load").mkdir()
        for name in ("run.json", "services.csv", "load/requests.csv", "load/probe.csv"):
            (copy / name).write_bytes((folder / name).read_bytes())
    for name in ("experiment.json", "state.jsonl"):
        (tmp_path / "live" / name).write_bytes((tides.path / name).read_bytes())

    told = json.loads(calibrate(tmp_path / "live", "--out", tmp_path / "c.yaml", "--json").stdout)

    whole, partly = ({fit["parameter"]: fit["measured"]["value"] for fit in one["fits"]} for one in (found[0], told))
    for parameter in ("operations.gateway.*.cpu_ms", "operations.catalog.*.cpu_ms"):
        assert partly[parameter] == pytest.approx(whole[parameter], rel=0.05)


def test_base_latencies_put_the_wait_of_a_class_where_it_belongs(live_folder, scenario, tmp_path):
    raw = scenario().topology.model_dump(mode="json", exclude_unset=True)
    raw["classes"] = raw["classes"][:1]
    browsing = scenario(topology=raw, load={"rps": 20, "roughness": 0.0}, duration_s=300)
    slower = json.loads(json.dumps(raw))
    slower["operations"][0]["wait_ms"] = 60.0
    folder = live_folder(browsing)
    folder.play(browsing, "hpa-tuned", 1, truth=Topology.model_validate(slower))

    told = json.loads(calibrate(folder.path, "--out", tmp_path / "c.yaml", "--json").stdout)

    wait_ms = load_topology(tmp_path / "c.yaml").operations[0].wait_ms
    # The histogram's buckets are 14 to 25 % wide.
    assert wait_ms == pytest.approx(60.0, rel=0.3)
    [p50] = [fit for fit in told["fits"] if fit["parameter"] == "latency.gateway.browse.p50"]
    assert p50["before"] == pytest.approx(p50["measured"]["value"], rel=0.02)


def test_runs_without_a_result_are_named(tides, scenario, tmp_path):
    played = tides.scenarios[0]
    tides.end(played, "foresail", 1, RunState.ABORTED, "6 minutes of error")

    told = json.loads(calibrate(tides.path, "--out", tmp_path / "c.yaml", "--json").stdout)

    assert told["left_out"] == [
        {"scenario": "tides", "arm": "foresail", "seed": 1, "why": "aborted: 6 minutes of error"}
    ]
    assert len(told["runs"]) == 2


def test_an_experiment_without_a_finished_run_is_refused(live_folder, scenario, tmp_path):
    result = calibrate(live_folder(scenario()).path, "--out", tmp_path / "c.yaml")

    assert result.exit_code == 2 and "no run has finished: there is nothing to measure" in result.stderr


def test_scenarios_of_different_shops_need_a_topology_to_start_from(live_folder, scenario, tmp_path):
    raw = scenario().topology.model_dump(mode="json", exclude_unset=True)
    raw["services"][0]["replicas"] = 3
    one, other = scenario(name="one"), scenario(name="other", topology=raw)
    folder = live_folder(one, other)
    for played in folder.scenarios:
        folder.play(played, "hpa-tuned", 1)

    refused = calibrate(folder.path, "--out", tmp_path / "c.yaml")
    taken = calibrate(folder.path, "--out", tmp_path / "c.yaml", "--topology", "shop")

    assert refused.exit_code == 2 and "give the one to start from with --topology" in refused.stderr
    assert taken.exit_code == 0
    assert yaml.safe_load((tmp_path / "c.yaml").read_text())["services"][0]["name"] == "gateway"
