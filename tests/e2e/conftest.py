"""One real cluster for all end-to-end tests of a run, with both charts installed on it.

`FORESAIL_E2E_CLUSTER=NAME` takes a running cluster as it is and leaves it up. Every test leaves all as it found it.
"""

from collections.abc import Iterator

import e2e_stage
import pytest
from e2e_inside import PromQL, site
from e2e_installing import install_everything
from e2e_light import Light
from e2e_operator import OperatorView
from e2e_programs import Helm, Kubectl
from e2e_shop import Shop
from e2e_stage import Stage


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several processes all of them run in one: the cluster is shared, and its load disturbs no other cluster."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            if "e2e" in item.path.parts:
                item.add_marker(pytest.mark.xdist_group("cluster"))


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A cluster with Prometheus and the project's images; nothing is installed."""
    e2e_stage.required_or_skipped()
    with e2e_stage.stage(tmp_path_factory.mktemp("e2e")) as made:
        yield made


@pytest.fixture(scope="session")
def installed(stage: Stage) -> Stage:
    """The shop and Foresail over it, in Enforce; the operator may not lead yet.

    The light workloads begin here too: forecasts need two minutes of history, which pass while the shop is tested.
    """
    install_everything(stage)
    Light(stage.kubectl).make()
    return stage


@pytest.fixture(scope="session")
def operator(installed: Stage) -> OperatorView:
    """Leads."""
    view = OperatorView(installed)
    view.wait_for_lead()
    return view


@pytest.fixture(scope="session")
def shop(operator: OperatorView) -> Shop:
    """Installed, and watched by an operator that leads."""
    return Shop(operator.stage)


@pytest.fixture(scope="session")
def light(operator: OperatorView) -> Light:
    """Sleeping workloads whose demand is told, watched by an operator that leads."""
    return Light(operator.stage.kubectl)


@pytest.fixture(scope="session")
def kubectl(stage: Stage) -> Kubectl:
    return stage.kubectl


@pytest.fixture(scope="session")
def helm(stage: Stage) -> Helm:
    return stage.helm


@pytest.fixture(scope="session")
def promql(stage: Stage) -> Iterator[PromQL]:
    with site(stage.cluster, e2e_stage.PROMETHEUS.removeprefix("http://")) as server:
        yield PromQL(server)
