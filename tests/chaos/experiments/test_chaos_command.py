import json

import pytest
import yaml
from typer.testing import CliRunner

from foresail.cli import app


def foresail(*arguments):
    return CliRunner().invoke(app, ["chaos", *map(str, arguments)])


@pytest.fixture
def leak(scenario, tmp_path):
    """A scenario file that fits a test cluster."""
    faults = [{"kind": "memory_leak", "service": "catalog", "start_s": 60, "duration_s": 120}]
    path = tmp_path / "leak.yaml"
    path.write_text(yaml.safe_dump(json.loads(scenario(faults=faults).model_dump_json(exclude_unset=True))))
    return path


def test_a_plan_says_what_would_be_done_and_what_is_different(leak):
    result = foresail("plan", leak)

    assert result.exit_code == 0, result.output
    assert "short: 510 s of load, of which the shop has 90 s to settle and 120 s are warm-up, " in result.output
    assert "t = 60 to 180 s: memory leak in catalog" in result.output
    assert "differs: history: 3 h and 1 earlier days are not played" in result.output


def test_a_plan_as_json_has_the_charts_values_of_each_arm(leak):
    told = json.loads(foresail("plan", leak, "--json").output)

    assert told["peak_rps"] == pytest.approx(20.0)
    profile = told["values"]["hpa-tuned"]["hpa"]["profiles"]["experiment"]
    assert profile["targetCPUUtilizationPercentage"] == 60
    assert told["values"]["foresail"]["roles"]["gateway"]["maxReplicas"] == 24


def test_what_cannot_be_done_live_ends_with_the_reasons_and_no_traceback():
    result = foresail("plan", "disk-fill")

    assert result.exit_code == 2
    assert "faults.0.kind: no disk_fill live" in result.output


def test_an_unknown_arm_is_named_with_those_that_exist(leak):
    result = foresail("plan", leak, "--arms", "oracle")

    assert result.exit_code == 2 and "no live arm is called 'oracle'" in result.output


def test_mesh_prints_objects_that_kubectl_can_read(leak):
    result = CliRunner().invoke(app, ["chaos", "mesh", str(leak)])

    [one] = yaml.safe_load_all(result.stdout)
    assert (one["kind"], one["metadata"]["namespace"]) == ("StressChaos", "shop")


def test_mesh_says_what_it_has_nothing_for():
    result = CliRunner().invoke(app, ["chaos", "mesh", "node-loss"])

    assert "faults.0: not in Chaos Mesh: it has no faults of nodes" in result.stderr


def test_a_folder_without_an_experiment_is_refused(tmp_path):
    result = foresail("score", tmp_path)

    assert result.exit_code == 2 and "has no experiment.json" in result.output


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--again", "finished"), "--again finished: use failed or aborted"),
        (("--arms", "hpa-tuned,hpa-perfect"), "'hpa-perfect'"),
        (("--max-rps", "10"), "--max-rps allows 10"),
        (("--timers", "leisurely"), "leisurely"),
    ],
)
def test_a_run_is_refused_before_any_cluster_is_touched(leak, tmp_path, options, named):
    result = foresail("run", leak, "--out", tmp_path / "out", *options)

    assert result.exit_code == 2 and named in result.output
    assert not list((tmp_path / "out").glob("*"))


def test_kedas_arm_is_refused_before_any_cluster_is_touched_while_it_is_not_built(leak, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    result = foresail("run", leak, "--out", tmp_path / "out", "--arms", "hpa-tuned,keda")

    assert result.exit_code == 3 and "run `foresail cluster build --with keda`" in result.output
    assert not (tmp_path / "cache").exists()


def test_nothing_is_rolled_back_without_a_cluster(tmp_path):
    result = foresail("rollback", tmp_path, "--cluster", "there-is-none")

    assert result.exit_code == 2 and "no such cluster is up" in result.output
