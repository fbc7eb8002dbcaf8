"""Upgrades of both charts while a floor stands, and an uninstall that leaves the shop exactly as it was."""

import re
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from e2e_comparing import differences, objects
from e2e_installing import FORESAIL_CHART, FORESAIL_OPTIONS, SHOP_CHART, SHOP_OPTIONS, install_everything
from e2e_load import load
from e2e_operator import OperatorView
from e2e_programs import Helm
from e2e_shop import Autoscaler, Shop
from e2e_stage import OPERATOR, SHOP
from e2e_waiting import wait_until

pytestmark = pytest.mark.slow

ROLE, RAISED = "gateway", 4


@pytest.fixture(scope="module")
def as_it_was(shop: Shop) -> dict[str, object]:
    """The shop's objects while nothing of Foresail's stands on them."""
    wait_until("the shop at rest", lambda: shop.marked(), 300.0, lambda marked: not marked)
    return objects(shop.stage.kubectl, SHOP, without_release="foresail")


def test_upgrades_leave_a_standing_floor_alone(
    operator: OperatorView, shop: Shop, helm: Helm, as_it_was: dict[str, object], tmp_path: Path
) -> None:
    """There is no released chart yet: the one before is this one by a lower number, with other settings."""
    before = previous_chart(tmp_path)
    helm.install("foresail", before, OPERATOR, [*FORESAIL_OPTIONS, "--set", "operator.tickSeconds=10"])
    operator.wait_for_lead()
    with ExitStack() as wish:
        wish.enter_context(
            shop.policy(targets=shop.targets_with(ROLE, minReplicas=RAISED, capacityPriorRequestsPerSecond=50.0))
        )
        raised = wait_until("a floor", lambda: shop.autoscaler(ROLE), 180.0, lambda a: a.floor == RAISED)

        helm.install("foresail", FORESAIL_CHART, OPERATOR, FORESAIL_OPTIONS)
        operator.wait_for_lead()
        assert shop.autoscaler(ROLE).mark["original"] == raised.mark["original"]
        wait_until("the floor to be kept by the new version", lambda: renewed_since(shop, raised), 240.0)

        with shop.paused():  # so that it stands a while yet
            wish.close()
            helm.install("shop", SHOP_CHART, SHOP, SHOP_OPTIONS)
            after = shop.autoscaler(ROLE)
    assert after.mark is not None and after.floor == after.mark["written"] == RAISED
    assert after.mark["original"] == raised.mark["original"]


def test_an_uninstall_leaves_the_shop_as_it_was(
    operator: OperatorView, shop: Shop, helm: Helm, as_it_was: dict[str, object], tmp_path: Path
) -> None:
    with load(shop.stage, tmp_path, rps=2.0, duration_s=30.0) as visitors:  # of whom nobody came, nothing is known
        visitors.summary()
    with shop.policy(targets=shop.targets_with(ROLE, minReplicas=RAISED, capacityPriorRequestsPerSecond=50.0)):
        wait_until("a floor", lambda: shop.autoscaler(ROLE).mark, 180.0)
    try:
        helm("uninstall", "foresail", "-n", OPERATOR, "--wait", "--timeout", "16m", limit_s=1000.0)

        assert shop.marked() == []
        assert differences(as_it_was, objects(shop.stage.kubectl, SHOP)) == []
        wait_until("its pods to have ended", operator.pods, until=lambda pods: pods == [])
    finally:
        install_everything(operator.stage)
        operator.wait_for_lead()


def previous_chart(folder: Path) -> Path:
    copy = folder / "foresail"
    shutil.copytree(FORESAIL_CHART, copy)
    description = copy / "Chart.yaml"
    text = description.read_text(encoding="utf-8")
    description.write_text(re.sub(r"(?m)^version: .*$", "version: 0.0.1", text), encoding="utf-8")
    return copy


def renewed_since(shop: Shop, raised: Autoscaler) -> bool:
    mark = shop.autoscaler(ROLE).mark
    return mark is not None and mark["expires_at"] > raised.mark["expires_at"]
