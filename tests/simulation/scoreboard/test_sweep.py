from __future__ import annotations

import json

import pytest

from simulation.scenario import Scenario
from simulation.studies.experiment import Plan, carry_out
from simulation.studies.sweep import BackendUnavailable, Job, paired_jobs, perform, sweep

ONE_SERVICE = {
    "name": "tiny",
    "duration_s": 40,
    "warm_up_s": 20,
    "history": {"hours": 0.1, "days_remembered": 0},
    "load": {"rps": 8},
    "topology": {
        "nodes": [{"zone": "a", "count": 1}, {"zone": "b", "count": 1}],
        "services": [{"name": "web", "cpu_ms": 10, "replicas": 2, "hpa": {"min_replicas": 2, "max_replicas": 4}}],
    },
}


@pytest.fixture(scope="module")
def tiny() -> Scenario:
    return Scenario.model_validate(ONE_SERVICE)


def test_every_arm_meets_every_seed_in_an_order_that_changes(tiny):
    jobs = paired_jobs([tiny], ["a", "b", "c", "d"], range(6))

    assert sorted((j.seed, j.arm) for j in jobs) == [(s, a) for s in range(6) for a in "abcd"]
    assert [j.seed for j in jobs] == sorted(j.seed for j in jobs)
    orders = {tuple(j.arm for j in jobs if j.seed == s) for s in range(6)}
    assert len(orders) > 1
    assert jobs == paired_jobs([tiny], ["a", "b", "c", "d"], range(6))


def test_a_broken_run_does_not_end_the_sweep(tiny):
    jobs = [Job(tiny, "hpa-default", 1, {"no_such_setting": 1}), Job(tiny, "hpa-default", 1)]

    broken, fine = sweep(jobs, workers=1)

    assert broken.failure is not None and "no_such_setting" in broken.failure.error
    assert fine.score is not None


def test_local_processes_give_the_same_as_this_one(tiny):
    jobs = paired_jobs([tiny], ["hpa-default", "hpa-tuned"], [1, 2])

    spread = list(sweep(jobs, workers=2))

    assert [d.score for d in spread] == [perform(j).score for j in jobs]


def test_dask_gives_the_same_as_this_process(tiny):
    distributed = pytest.importorskip("distributed")
    jobs = paired_jobs([tiny], ["hpa-default", "hpa-tuned"], [1])

    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, protocol="tcp", host="127.0.0.1"
    ) as cluster:
        spread = list(sweep(jobs, backend="dask", scheduler=cluster.scheduler_address))

    assert [d.score for d in spread] == [perform(j).score for j in jobs]


def test_dask_without_a_scheduler_is_refused(tiny):
    with pytest.raises(BackendUnavailable, match="needs --scheduler"):
        list(sweep([Job(tiny, "hpa-default", 1)], backend="dask"))


def test_an_experiment_writes_all_its_files(tiny, tmp_path):
    plan = Plan((tiny,), ("hpa-default", "hpa-tuned"), (1, 2), out=tmp_path, workers=1)
    heard = []

    outcome = carry_out(plan, heard.append)

    assert len(heard) == plan.runs == 4
    names = {"summary.json", "runs.csv", "timeline.csv", "decisions.jsonl", "raw", "report.html"}
    assert {p.name for p in outcome.written} == {p.name for p in tmp_path.iterdir()} == names
    # 2 arms × 2 seeds × 40 s × 1 service, and the header
    assert len((tmp_path / "timeline.csv").read_text().splitlines()) == 161
    assert json.loads((tmp_path / "summary.json").read_text())["scenario"] == "tiny"


def test_several_scenarios_get_a_folder_each_and_a_summary_over_all(tiny, tmp_path):
    other = tiny.model_copy(update={"name": "other"})

    carry_out(Plan((tiny, other), ("hpa-default",), (1,), out=tmp_path, workers=1))

    assert json.loads((tmp_path / "summary.json").read_text())["scenarios"] == ["tiny", "other"]
    assert json.loads((tmp_path / "other" / "summary.json").read_text())["scenarios"] == ["other"]
    assert (tmp_path / "tiny" / "report.html").is_file()
