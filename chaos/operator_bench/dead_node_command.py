"""`python -m chaos.operator_bench.dead_node_command`: pairs of dead nodes on a cluster of this machine."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from chaos.clusters.cluster import Cluster
from chaos.clusters.providers import BARE, running_cluster
from chaos.load.records import read_records
from chaos.operator_bench.dead_node import LASTS_S, MODES, QUIET_S, Arm, Sent, figure, measured, read_rows
from chaos.operator_bench.failover import Clocks
from chaos.operator_bench.live_shop import LiveShop, live_shop
from chaos.operator_bench.rotation import How, RotationFailed, departures, settled
from chaos.operator_bench.silencing import victim

_MODE_LIMIT_S = 60.0
_START_LIMIT_S = 60.0


def measure(
    cluster: Annotated[str, typer.Option(help="Name of a running bare cluster, production timers, both charts on it.")],
    out: Annotated[Path, typer.Option(help="Folder of rows.jsonl and of every run's requests.")],
    pairs: Annotated[int, typer.Option(min=1)] = 3,
    rps: Annotated[float, typer.Option(min=0.1, help="Requests per second.")] = 8.0,
    slo_s: Annotated[float, typer.Option(min=0.01, help="A later answer is bad.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of visitors, and of the order within a pair.")] = 1,
) -> None:
    """Kill a node under load, with and without Foresail acting; what is measured already is not measured again."""
    running = running_cluster(BARE, cluster, lambda _: None)
    if not running.kubeconfig.exists():
        raise typer.BadParameter(f"no cluster {cluster} is up", param_hint="--cluster")
    out.mkdir(parents=True, exist_ok=True)
    try:
        with live_shop(running.kubeconfig) as shop:
            for row in measured(pairs, LiveStage(shop, running, rps), out, slo_s, seed):
                typer.echo(row)
    except RotationFailed as error:
        typer.echo(f"dead node: {error}", err=True)
        raise typer.Exit(1) from None
    found = figure(read_rows(out / "rows.jsonl"))
    typer.echo(f"{found.name}: {found.value}, {found.verdict}; {json.dumps(found.detail)}")


@dataclass(frozen=True, slots=True)
class LiveStage:
    """Implements `dead_node.Stage` on a bare cluster."""

    shop: LiveShop
    cluster: Cluster
    rps: float

    def rest(self, arm: Arm) -> None:
        settled(self.shop, Clocks())
        self.shop.set_mode(MODES[arm])
        deadline_s = time.monotonic() + _MODE_LIMIT_S
        while self.shop.mode_in_force() != MODES[arm]:
            if time.monotonic() > deadline_s:
                raise RotationFailed(f"mode {MODES[arm]} is not in force after {_MODE_LIMIT_S:g} s")
            time.sleep(0.5)

    def killed_under_load(self, seed: int, out: Path) -> Sent:
        node, url = victim(self.shop), self.shop.gateway_url()
        words = [sys.executable, "-m", "chaos.operator_bench.visitors", url, str(out), str(self.rps), str(LASTS_S)]
        visitors = threading.Thread(target=self.cluster.execute, args=([*words, str(seed)],))
        visitors.start()
        killed_at: list[float] = []

        @contextmanager
        def fault() -> Iterator[None]:
            killed_at.append(time.time())
            self.cluster.kill_node(node)
            yield  # it stays dead until the visitors have gone

        try:
            _until_sent(out / "events.json", visitors)
            time.sleep(QUIET_S)
            failing = frozenset(one for one in self.shop.endpoints() if one.node == node)
            rng = random.Random(seed)
            left = tuple(departures(self.shop, How.DEAD_NODE, failing, fault, rng, Clocks()))
        finally:
            visitors.join()
            self.cluster.start_node(node)
        summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        records = tuple(read_records(out / "requests.csv"))
        return Sent(node, killed_at[0] - float(summary["started_at"]), float(summary["duration_s"]), records, left)


def _until_sent(events: Path, visitors: threading.Thread) -> None:
    """The file is written when the load begins."""
    before = events.stat().st_mtime if events.exists() else None
    deadline_s = time.monotonic() + _START_LIMIT_S
    while not events.exists() or events.stat().st_mtime == before:
        if time.monotonic() > deadline_s or not visitors.is_alive():
            raise RotationFailed("the load did not begin")
        time.sleep(0.1)


if __name__ == "__main__":
    typer.run(measure)
