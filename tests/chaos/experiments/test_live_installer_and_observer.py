from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from chaos.clusters.cluster import ClusterFailed
from chaos.experiments.arms import live_arm
from chaos.experiments.live.installer import HelmInstaller, Releases
from chaos.experiments.live.keda_installation import KedaInstallation
from chaos.experiments.live.observer import LiveObserver, decisions_of
from chaos.experiments.live_plan import live_plan
from chaos.experiments.measured.rows import PodRow, ServiceRow, WorkloadRow, read_rows
from chaos.experiments.problems import RunFailed
from chaos.experiments.run_folder import RunFolder
from forecasting.forecast import DeclaredEvent

RELEASES = Releases(
    Path("charts/demo-shop"), Path("charts/foresail"), "http://p:9090", {"prometheus": {"install": "on"}}
)


KINDS_OF_KEDA = "apiservices,customresourcedefinitions,clusterroles,clusterrolebindings,namespaces"


class Programs:
    """helm and kubectl that only take down what they were told."""

    def __init__(self):
        self.told = []

    def helm(self, *words, given=None):
        self.told.append(("helm", words, given))
        return ""

    def kubectl(self, *words, given=None):
        self.told.append(("kubectl", words, given))
        return ""

    def values_of(self, release):
        [given] = [g for _, words, g in self.told if words[:3] == ("upgrade", "--install", release)]
        return json.loads(given)

    def installer(self, keda_built=None):
        return HelmInstaller(self.helm, self.kubectl, RELEASES, KedaInstallation(self.kubectl, "keda:1", keda_built))

    def lines(self):
        return [f"{program} {' '.join(words[:4])}" for program, words, _ in self.told]


@pytest.fixture
def programs():
    return Programs()


@pytest.fixture
def set_up(programs, scenario, limits):
    def done(arm, keda_built=None):
        plan = live_plan(scenario(), 1, limits)
        programs.installer(keda_built).set_up(plan, live_arm(arm))

    return done


def test_every_run_begins_with_nothing_and_the_operator_comes_before_the_shop(programs, set_up):
    set_up("foresail")

    assert programs.lines() == [
        "kubectl wait node --all --for=condition=Ready",
        f"kubectl get {KINDS_OF_KEDA} -l app.kubernetes.io/managed-by=foresail-experiments",
        "helm uninstall shop -n shop",
        "kubectl delete namespace shop --ignore-not-found",
        "helm uninstall foresail -n foresail",
        "kubectl delete namespace foresail --ignore-not-found",
        "kubectl apply --server-side --force-conflicts -f",
        "helm upgrade --install foresail charts/foresail",
        "helm upgrade --install shop charts/demo-shop",
        "kubectl -n foresail rollout status",
    ]


def test_the_shop_gets_the_plans_the_arms_and_the_stands_values(programs, set_up):
    set_up("foresail")

    values = programs.values_of("shop")
    assert values["roles"]["gateway"]["maxReplicas"] == 24
    assert values["hpa"]["profiles"]["experiment"]["targetCPUUtilizationPercentage"] == 90
    assert values["resilience"]["mode"] == "Observe" and values["resilience"]["latencySeconds"] == 1.0
    assert values["prometheus"] == {"install": "on"}


def test_an_hpa_arm_has_no_operator(programs, set_up):
    set_up("hpa-tuned")

    assert not any("charts/foresail" in line for line in programs.lines())
    assert programs.values_of("shop")["resilience"]["enabled"] is False


def test_keda_is_begun_before_the_shop_and_its_objects_are_applied_when_it_is_up(programs, set_up, tmp_path):
    set_up("keda", keda_built=tmp_path)

    lines = programs.lines()
    shop = lines.index("helm upgrade --install shop charts/demo-shop")
    up = lines.index("kubectl -n keda rollout status")
    applied = [
        number
        for number, (_, words, given) in enumerate(programs.told)
        if words[0] == "apply" and {one["kind"] for one in json.loads(given)["items"]} == {"ScaledObject"}
    ]
    assert lines.index(f"kubectl kustomize {tmp_path}/config/minimal") < shop < up < applied[0]
    assert lines[-1] == "kubectl -n shop wait hpa"


def test_an_arm_whose_keda_is_not_built_touches_nothing(programs, set_up):
    with pytest.raises(RunFailed, match="run `foresail cluster build --with keda`"):
        set_up("keda")

    assert programs.told == []


def test_events_are_patched_into_the_policy(programs):
    sale = DeclaredEvent("sale", 60.0, 180.0, 2.0)
    installer = programs.installer()

    installer.announce(live_arm("foresail"), (sale,), zero_s=0.0)
    installer.announce(live_arm("hpa-tuned"), (sale,), zero_s=0.0)

    [(_, words, _)] = programs.told
    assert words[:5] == ("-n", "shop", "patch", "resiliencepolicy", "shop")
    assert json.loads(words[-1])["spec"]["events"][0]["start"] == "1970-01-01T00:01:00Z"


def test_an_arm_is_let_act_by_its_policys_mode(programs):
    programs.installer().let_act(live_arm("foresail"))
    programs.installer().let_act(live_arm("hpa-tuned"))

    [(_, words, _)] = programs.told
    assert words[:5] == ("-n", "shop", "patch", "resiliencepolicy", "shop")
    assert json.loads(words[-1]) == {"spec": {"mode": "Enforce"}}


def test_an_arm_that_cannot_be_installed_fails_the_run(programs, scenario, limits):
    def helm(*words, given=None):
        raise ClusterFailed("timed out waiting for the condition")

    programs.helm = helm
    with pytest.raises(RunFailed, match="could not be installed: timed out"):
        programs.installer().set_up(live_plan(scenario(), 1, limits), live_arm("hpa-tuned"))


# -- the observer -----------------------------------------------------------------------------------------------


class Looked:
    """Workloads and numbers; says when it was looked at `times` times."""

    def __init__(self, times=2):
        self.looks, self.enough, self.times = 0, threading.Event(), times

    def rows(self, at_s):
        self.looks += 1
        if self.looks >= self.times:
            self.enough.set()
        return (WorkloadRow(float(self.looks), "cart", 2, 1, 2, None),)

    def services(self, first_s, last_s, step_s):
        return (ServiceRow(first_s, "cart", 1.0, None, None, None),)

    def pods(self, first_s, last_s, step_s):
        return (PodRow(last_s, "cart", "c", 1.0, None),)


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def watch(observer, folder, looked):
    with observer.watching(folder):
        assert looked.enough.wait(60.0)
        return observer.unready()


def test_workloads_are_taken_down_while_the_run_goes_on(folder):
    looked = Looked()
    observer = LiveObserver(looked, looked, lambda: None)

    assert watch(observer, folder, looked) == ("cart",)

    assert len(read_rows(folder.workloads, WorkloadRow)) >= 2


def test_nothing_is_known_before_the_first_look():
    assert LiveObserver(Looked(), Looked(), lambda: None).unready() is None


def test_decisions_are_asked_for_again_and_again_and_kept_once(folder):
    looked, answers = Looked(), iter([[{"id": "d1"}, {"id": "d2"}]])
    observer = LiveObserver(looked, looked, lambda: next(answers, [{"id": "d2"}, {"id": "d3"}]))

    watch(observer, folder, looked)

    assert [json.loads(line)["id"] for line in folder.decisions.read_text().splitlines()] == ["d1", "d2", "d3"]


def test_a_run_without_an_operator_has_no_file_of_decisions(folder):
    looked = Looked()

    watch(LiveObserver(looked, looked, lambda: None), folder, looked)

    assert not folder.decisions.exists()


def test_an_operator_that_decided_nothing_leaves_an_empty_file(folder):
    looked = Looked()

    watch(LiveObserver(looked, looked, list), folder, looked)

    assert folder.decisions.read_text() == ""


def test_numbers_are_asked_for_when_all_is_over(folder):
    looked = Looked()
    folder.path.mkdir(parents=True)

    LiveObserver(looked, looked, lambda: None).collect(folder, 100.0, 160.0, 5.0)

    assert read_rows(folder.services, ServiceRow)[0].at_s == 105.0
    assert read_rows(folder.pods, PodRow)[0].at_s == 160.0


def test_no_replica_that_answers_means_not_known():
    assert decisions_of(lambda: ["http://127.0.0.1:1"])() is None
