import json

import pytest

from chaos.clusters.cluster import ClusterFailed
from chaos.experiments.live.switches import ScaledToZero, ServiceCut
from chaos.experiments.problems import VerbFailed


@pytest.fixture
def patches():
    """kubectl that takes its patches down, as (object, patch)."""
    told = []

    def kubectl(*words):
        assert words[:3] == ("-n", "shop", "patch") and words[4:6] == ("--type=merge", "-p")
        told.append((words[3], json.loads(words[6])))
        return ""

    kubectl.told = told
    return kubectl


def test_a_cut_service_asks_for_a_label_that_no_pod_has_and_forgets_it_again(patches):
    cut = ServiceCut(patches, "shop", "shop-prometheus")

    cut.off()
    cut.on()

    assert patches.told == [
        ("service/shop-prometheus", {"spec": {"selector": {"foresail.dev/cut": "true"}}}),
        ("service/shop-prometheus", {"spec": {"selector": {"foresail.dev/cut": None}}}),
    ]


def test_a_controller_that_is_down_has_no_pods_and_comes_back_with_all(patches):
    controller = ScaledToZero(patches, "shop", "foresail", replicas=2)

    controller.off()
    controller.on()

    assert [patch["spec"]["replicas"] for _, patch in patches.told] == [0, 2]


@pytest.mark.parametrize("verb", ["off", "on"])
def test_an_api_server_that_is_away_fails_the_verb(verb):
    def away(*words):
        raise ClusterFailed("connection refused")

    with pytest.raises(VerbFailed, match="connection refused"):
        getattr(ServiceCut(away, "shop", "shop-prometheus"), verb)()
