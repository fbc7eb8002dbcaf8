"""Foresail acts on the real shop: a floor rises before the HPA would scale, the HPA goes on above it, it comes back."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from e2e_load import RunningLoad, load, reconciled
from e2e_operator import OperatorView
from e2e_shop import Autoscaler, Shop, event
from e2e_stage import SHOP
from e2e_waiting import wait_until

pytestmark = pytest.mark.slow

ROLE, WORKLOAD = "gateway", "shop/shop-gateway"
#: The policy lets the floor rise so far; the HPA may go further.
HIGHEST_FLOOR = 4
NOTICE_S = 75.0


@pytest.fixture(scope="module")
def visitors(operator: OperatorView, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLoad]:
    """A few visitors a second, from whom capacity is learned: far too few for the HPA to want that many pods."""
    with load(operator.stage, tmp_path_factory.mktemp("floors"), rps=4.0, duration_s=600.0) as running:
        yield running


def test_a_floor_rises_before_a_declared_sale_and_comes_back_step_by_step(
    operator: OperatorView, shop: Shop, visitors: RunningLoad
) -> None:
    with shop.policy(targets=shop.resting_targets()):
        wait_until("the gateway's capacity", lambda: capacity_rps(operator), 180.0)
        before = wait_until("the HPA at rest", lambda: shop.autoscaler(ROLE), 180.0, is_at_rest)

    sale = event(multiplier=100.0, in_s=NOTICE_S, for_s=900.0)
    with shop.policy(targets=shop.targets_with(ROLE, maxReplicas=HIGHEST_FLOOR, descendPodsPerMinute=2.0)):
        with shop.policy(events=[sale]):
            raised = wait_until("the floor", lambda: shop.autoscaler(ROLE), 150.0, lambda a: a.floor == HIGHEST_FLOOR)
            assert raised.mark["original"] == before.floor and raised.mark["written"] == HIGHEST_FLOOR
            assert raised.managed
            why = wait_until("why", lambda: decision(operator, raised.mark["decision"]))
            assert "“sale” is coming" in why["explanation"] and moment(why["at"]) < moment(sale["start"])
            rescaled = wait_until("the HPA to follow", lambda: last_rescale(operator), until=lambda s: "size: 4" in s)
            assert "below Spec.MinReplicas" in rescaled, "the HPA itself saw a reason to scale"
            wait_until("its pods", lambda: len(shop.ready_pods(ROLE)), until=lambda ready: ready >= HIGHEST_FLOOR)

            with shop.fault_in(sorted(shop.ready_pods(ROLE))[0], "cpu_burn", magnitude=0.4, duration_s=120.0):
                above = wait_until("the HPA to go on above", lambda: shop.autoscaler(ROLE), until=goes_on_above)
                assert above.mark is not None and above.floor > before.floor
        steps = steps_down(shop, above.floor, before.floor)

    assert steps == list(range(above.floor, before.floor - 1, -1))
    after = wait_until("the HPA as it was", lambda: shop.autoscaler(ROLE), until=lambda a: not a.managed)
    assert after.mark is None
    assert (after.floor, after.ceiling) == (before.floor, before.ceiling)


def test_nobody_noticed(operator: OperatorView, visitors: RunningLoad) -> None:
    visitors.stop()
    summary = visitors.summary()

    assert summary["downtime_s"] == 0 and summary["probe"]["failed"] == 0
    assert reconciled(operator.stage, visitors.ledger).clean


def capacity_rps(operator: OperatorView) -> float | None:
    """Of one gateway pod, as the newest decision has it; None: it is not known yet."""
    decisions = operator.decisions(WORKLOAD, 1)
    facts = [reason["facts"] for decision in decisions for reason in decision["reasons"]]
    return next((fact["pod_capacity_rps"] for fact in facts if "pod_capacity_rps" in fact), None)


def is_at_rest(autoscaler: Autoscaler) -> bool:
    """Nothing of ours on it, and it wants fewer pods itself than the floor will be."""
    return autoscaler.mark is None and not autoscaler.managed and (autoscaler.wanted or HIGHEST_FLOOR) < HIGHEST_FLOOR


def goes_on_above(autoscaler: Autoscaler) -> bool:
    return (autoscaler.wanted or 0) > autoscaler.floor


def decision(operator: OperatorView, name: str) -> Any:
    """A decision as the policy's status shows it; None until it stands there."""
    return next((one for one in operator.policy(SHOP, "shop")["status"]["decisions"] if one["id"] == name), None)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def last_rescale(operator: OperatorView) -> str:
    """What the HPA last said about a change of size."""
    events = operator.stage.kubectl.items(SHOP, "events")
    rescales = [
        found
        for found in events
        if found["reason"] == "SuccessfulRescale" and found["involvedObject"]["name"] == f"shop-{ROLE}"
    ]
    return str(max(rescales, key=lambda found: found["lastTimestamp"])["message"]) if rescales else ""


def steps_down(shop: Shop, now: int, original: int) -> list[int]:
    """Every floor on the way down, as it was seen."""
    seen = [now]

    def looked() -> int:
        floor = shop.autoscaler(ROLE).floor
        if floor != seen[-1]:
            seen.append(floor)
        return floor

    wait_until("the original floor", looked, 240.0, lambda floor: floor == original)
    return seen
