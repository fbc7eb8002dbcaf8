"""Pairs of dead nodes, with and without Foresail, as they are measured and summed up."""

from pathlib import Path

import pytest

from chaos.load.records import Record, Verdict
from chaos.operator_bench.dead_node import Arm, Row, Sent, figure, judged, measured, read_rows
from chaos.operator_bench.rotation import Departure, How

KILLED_S, LASTS_S = 20.0, 150.0
LEFT = (
    Departure(How.DEAD_NODE, "cart", "cart-1", "node-3", last=False, left_s=2.5),
    Departure(How.DEAD_NODE, "gateway", "gateway-1", "node-3", last=False, left_s=None),
    Departure(How.DEAD_NODE, "pricing", "pricing-1", "node-3", last=True, left_s=None),
)


def sent(bad_from_s: float, bad_until_s: float, node: str = "node-3") -> Sent:
    """Ten requests a second, of which all fail for a while."""
    due = [tenth / 10.0 for tenth in range(int(LASTS_S * 10))]
    verdicts = [Verdict.FAILED if bad_from_s <= due_s < bad_until_s else Verdict.OK for due_s in due]
    records = [Record(due_s, "product", verdict) for due_s, verdict in zip(due, verdicts, strict=True)]
    return Sent(node, KILLED_S, LASTS_S, records, LEFT)


class FakeStage:
    def __init__(self) -> None:
        self.arms: list[Arm] = []
        self.seeds: list[int] = []

    def rest(self, arm: Arm) -> None:
        self.arms.append(arm)

    def killed_under_load(self, seed: int, out: Path) -> Sent:
        self.seeds.append(seed)
        return sent(KILLED_S, KILLED_S + (3.0 if self.arms[-1] is Arm.FORESAIL else 52.0))


def test_a_run_is_judged_by_what_clients_had() -> None:
    row = judged(0, Arm.STOCK, sent(KILLED_S, KILLED_S + 52.0), slo_s=1.0)

    assert row.sound and row.bad == 520 and row.requests == 1500
    assert row.last_bad_s == pytest.approx(51.9)
    assert row.left_s == (2.5, None)
    # Trailing ten seconds: down until the last bad request has left them.
    assert row.back_s == pytest.approx(62.0, abs=1.1)


def test_late_answers_are_bad_too() -> None:
    healthy = sent(0.0, 0.0)
    slow = [Record(one.due_s, "product", Verdict.OK, latency_ms=2000.0 * (one.due_s > 30.0)) for one in healthy.records]

    row = judged(0, Arm.STOCK, Sent("node-3", KILLED_S, LASTS_S, slow), slo_s=1.0)

    assert row.bad > 0 and not row.sound  # the end of it was not seen


def test_clients_that_notice_nothing_have_nothing_to_wait_for() -> None:
    row = judged(0, Arm.FORESAIL, sent(0.0, 0.0), slo_s=1.0)

    assert (row.sound, row.down_s, row.back_s, row.last_bad_s) == (True, 0, 0.0, 0.0)


def test_a_shop_that_ailed_before_is_no_evidence() -> None:
    assert not judged(0, Arm.STOCK, sent(5.0, 10.0), slo_s=1.0).sound


def test_each_pair_has_both_arms_and_the_same_visitors(tmp_path: Path) -> None:
    stage = FakeStage()

    rows = list(measured(4, stage, tmp_path, 1.0, seed=7))

    assert sorted((row.pair, row.arm) for row in rows) == [(pair, arm) for pair in range(4) for arm in sorted(Arm)]
    assert stage.seeds == [7, 7, 8, 8, 9, 9, 10, 10]
    assert len({tuple(stage.arms[at : at + 2]) for at in range(0, 8, 2)}) == 2  # in either order


def test_an_interrupted_measurement_goes_on(tmp_path: Path) -> None:
    next(measured(2, FakeStage(), tmp_path, 1.0, seed=1))
    with (tmp_path / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"pair": 1, "ar')

    again = FakeStage()
    list(measured(2, again, tmp_path, 1.0, seed=1))

    assert len(again.arms) == 3 and len(read_rows(tmp_path / "rows.jsonl")) == 4


def row(pair: int, arm: Arm, back_s: float, sound: bool = True) -> Row:
    return Row(pair, arm, "node-3", sound, int(back_s), back_s, back_s, 1000, 10)


def test_the_figure_is_the_ratio_of_the_sums_over_whole_pairs() -> None:
    rows = [
        *(row(0, Arm.FORESAIL, 10.0), row(0, Arm.STOCK, 60.0)),
        *(row(1, Arm.FORESAIL, 14.0), row(1, Arm.STOCK, 60.0)),
        *(row(2, Arm.FORESAIL, 99.0), row(2, Arm.STOCK, 60.0, sound=False)),
    ]

    found = figure(rows)

    assert found.value == pytest.approx(0.2) and found.detail["pairs"] == 2


def test_a_fault_that_hurts_nobody_proves_nothing() -> None:
    found = figure([row(0, Arm.FORESAIL, 0.0), row(0, Arm.STOCK, 12.0)])

    assert found.value is None and found.verdict == "unknown"


def test_rows_survive_the_way_to_the_file(tmp_path: Path) -> None:
    rows = tuple(measured(1, FakeStage(), tmp_path, 1.0, seed=1))

    assert read_rows(tmp_path / "rows.jsonl") == rows
