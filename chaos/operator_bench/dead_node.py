"""A node dies under load: how long until clients are served again, with Foresail acting and with Kubernetes alone.

    python -m chaos.operator_bench.dead_node_command --cluster NAME --pairs 3 --out FOLDER

Pairs of runs on one cluster with production timers, in random order, with the same visitors: in one the policy is in
Enforce, in the other in Observe, where Foresail watches and does nothing. The node that dies is the same in both: none
with Redis, the primary, or Foresail's leader, whose loss is another measurement. Rows are kept, so that an interrupted
measurement goes on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from chaos.load.records import Record
from chaos.load.summary import client_health
from chaos.operator_bench.rotation import Departure
from chaos.shop_bench.figure import Figure
from simulation.scoring.downtime import Spell, spells

AT_LEAST, AIM = 0.5, 0.17
LEAST_STOCK_S = 30.0  # of harm without Foresail, below which a ratio says nothing
QUIET_S = 20.0  # of load before the node dies
LASTS_S = 125.0  # of load in all: 50 s until the node is given up, and 30 s of peace after that


class Arm(StrEnum):
    """Whose doing it is."""

    FORESAIL = "foresail"
    STOCK = "stock"


MODES = {Arm.FORESAIL: "Enforce", Arm.STOCK: "Observe"}


@dataclass(frozen=True, slots=True)
class Sent:
    """What visitors sent and got; `killed_s` after their start the node died."""

    node: str
    killed_s: float
    lasted_s: float
    records: Sequence[Record]
    departures: tuple[Departure, ...] = ()  # of the node's endpoints


class Stage(Protocol):
    """A live shop that can be put back to rest, and hurt under load."""

    def rest(self, arm: Arm) -> None:
        """Returns when the shop is as installed and the arm's mode is in force. Raises `RotationFailed`."""
        ...

    def killed_under_load(self, seed: int, out: Path) -> Sent:
        """Kills a node `QUIET_S` after the load began; it has power again at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One run. Seconds count from the node's death; 0: clients noticed nothing.

    `back_s`: until the last second that clients were down, by the scoreboard's definition (trailing 10 s).
    `last_bad_s`: until the last request that failed or came late was due. `left_s`: until each of the node's endpoints
    that had a peer was out of rotation, None: it stayed. `sound`: clients were served until the node died, and the end
    of their trouble was seen.
    """

    pair: int
    arm: Arm
    node: str
    sound: bool
    down_s: int
    back_s: float
    last_bad_s: float
    requests: int
    bad: int
    left_s: tuple[float | None, ...] = ()


def measured(pairs: int, stage: Stage, folder: Path, slo_s: float, seed: int) -> Iterator[Row]:
    """Every run of the pairs that has no sound row yet, in random order within each pair."""
    rows_file = folder / "rows.jsonl"
    rows = read_rows(rows_file)
    rows_file.write_text("".join(map(_line, rows)), encoding="utf-8")  # without the torn one
    done = {(row.pair, row.arm) for row in rows if row.sound}
    for pair in range(pairs):
        arms = list(Arm)
        random.Random(f"{seed}/{pair}").shuffle(arms)
        for arm in arms:
            if (pair, arm) in done:
                continue
            stage.rest(arm)
            row = judged(pair, arm, stage.killed_under_load(seed + pair, folder / f"{pair}-{arm.value}"), slo_s)
            with rows_file.open("a", encoding="utf-8") as file:
                file.write(_line(row))
            yield row


def judged(pair: int, arm: Arm, sent: Sent, slo_s: float) -> Row:
    """What clients had of a run."""
    seen = client_health(sent.records, sent.lasted_s, slo_s)
    outages = spells(seen)
    after = [one for one in outages if one.end_s > sent.killed_s]
    bad = [one.due_s for one in sent.records if _is_bad(one, slo_s) and one.due_s >= sent.killed_s]
    return Row(
        pair=pair,
        arm=arm,
        node=sent.node,
        sound=_is_sound(outages, sent.killed_s),
        down_s=sum(one.end_s - one.start_s for one in after),
        back_s=max((one.end_s - sent.killed_s for one in after), default=0.0),
        last_bad_s=max((due_s - sent.killed_s for due_s in bad), default=0.0),
        requests=sum(one.answered_well or one.bad for one in sent.records),
        bad=len(bad),
        left_s=tuple(one.left_s for one in sent.departures if not one.last),
    )


def read_rows(file: Path) -> tuple[Row, ...]:
    """A torn last line, which a killed run leaves, is skipped."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        found.append(Row(**{**row, "arm": Arm(row["arm"]), "left_s": tuple(row["left_s"])}))
    return tuple(found)


def figure(rows: Iterable[Row]) -> Figure:
    """Time until clients are served again, Foresail's ÷ stock, each summed over the whole pairs."""
    sound = {(row.pair, row.arm): row for row in rows if row.sound}
    pairs = sorted({pair for pair, _ in sound if all((pair, arm) in sound for arm in Arm)})
    ours = [sound[pair, Arm.FORESAIL] for pair in pairs]
    stock = [sound[pair, Arm.STOCK] for pair in pairs]
    harm_s = sum(row.back_s for row in stock)
    detail = {
        "pairs": len(pairs),
        "foresail_back_s": [round(row.back_s, 1) for row in ours],
        "stock_back_s": [round(row.back_s, 1) for row in stock],
        "foresail_last_bad_s": [round(row.last_bad_s, 1) for row in ours],
        "stock_last_bad_s": [round(row.last_bad_s, 1) for row in stock],
        "foresail_bad": [row.bad for row in ours],
        "stock_bad": [row.bad for row in stock],
        "foresail_left_s": [row.left_s for row in ours],
        "stock_left_s": [row.left_s for row in stock],
    }
    value = sum(row.back_s for row in ours) / harm_s if harm_s >= LEAST_STOCK_S else None
    return Figure("dead node: clients served again, Foresail / stock", value, "", AT_LEAST, AIM, detail=detail)


def _line(row: Row) -> str:
    return json.dumps(asdict(row)) + "\n"


def _is_bad(one: Record, slo_s: float) -> bool:
    return one.bad or (one.answered_well and one.latency_ms > slo_s * 1000.0)


def _is_sound(outages: tuple[Spell, ...], killed_s: float) -> bool:
    return all(one.recovered for one in outages) and not any(one.start_s < killed_s - 1.0 for one in outages)
