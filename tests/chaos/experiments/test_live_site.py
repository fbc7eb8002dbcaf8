"""The cluster of an experiment: what is on its nodes before the first run."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest

from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.plan import PRODUCTION
from chaos.experiments.live import site as live_site
from chaos.experiments.live.site import SiteWanted, site


class Cluster:
    kubeconfig = Path("kubeconfig")

    def __init__(self, machines=()):
        self.machines, self.loaded = machines, []

    def status(self):
        return self.machines

    def load_image(self, archive):
        self.loaded.append(archive.name)

    def up(self):
        self.machines = ("control-plane",)

    def down(self):
        self.machines = ()


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Helm and KEDA are built, images are nothing but names; returns a way to stand on a cluster."""
    helm = tmp_path / "helm"
    helm.touch()
    monkeypatch.setattr(live_site, "built_helm", lambda *_: helm)
    monkeypatch.setattr(live_site, "ready_set", lambda *_: tmp_path / "keda-programs")
    monkeypatch.setattr(live_site, "current_image", lambda recipe, *_: Path(f"{recipe.name}.tar"))

    @contextmanager
    def stand(cluster, keda):
        made = []
        monkeypatch.setattr(live_site, "running_cluster", lambda *_: cluster)
        monkeypatch.setattr(live_site, "make_cluster", lambda _, plan, __: made.append(plan) or cluster)
        with site(SiteWanted("chaos", "bare", PRODUCTION, 3, 2, keep=False, keda=keda), tmp_path, lambda _: None) as up:
            yield up, [image.name for plan in made for image in plan.images]

    return stand


def test_a_cluster_that_is_up_gets_kedas_image_when_an_arm_needs_it(built, tmp_path):
    cluster = Cluster(machines=("control-plane",))

    with built(cluster, keda=True) as (up, made_with):
        assert (cluster.loaded, made_with, up.keda) == (["keda.tar"], [], tmp_path / "keda-programs")

    assert cluster.status(), "it was up before, and stays so"


def test_a_new_cluster_comes_up_with_kedas_image(built):
    cluster = Cluster()

    with built(cluster, keda=True) as (_, made_with):
        assert made_with == ["foresail.tar", "demo-shop.tar", "demo-shop-stores.tar", "keda.tar"]

    assert cluster.loaded == [] and not cluster.status()


def test_no_other_arm_needs_it(built):
    cluster = Cluster(machines=("control-plane",))

    with built(cluster, keda=False) as (up, _):
        assert (cluster.loaded, up.keda) == ([], None)


def test_what_is_not_built_is_said_before_the_cluster_is_looked_for(built, monkeypatch):
    def missing(*_):
        raise ClusterFailed("keda is not built")

    with pytest.raises(ClusterFailed, match="keda is not built"):
        monkeypatch.setattr(live_site, "ready_set", missing)
        monkeypatch.setattr(live_site, "running_cluster", lambda *_: pytest.fail("the cluster was looked for"))
        with site(SiteWanted("chaos", "bare", PRODUCTION, 3, 2, keep=False, keda=True), Path(), lambda _: None):
            pass
