"""`foresail chaos`: scenarios on a live cluster: what would be done, the same as Chaos Mesh objects, and the score."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
import yaml

from foresail.commands.comma_list import comma_list
from foresail.commands.mistakes import SOME_RUNS_FAILED, input_checked, refuse

if TYPE_CHECKING:
    from chaos.clusters.plan import NodePlace
    from chaos.experiments.live_plan import LivePlan

DEFAULT_ARMS = "hpa-tuned,foresail"
SETTLE_S = 90.0

app = typer.Typer(
    help="Scenarios on a live cluster: what would be done, the same as Chaos Mesh objects, and the score.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Scenarios = Annotated[list[str], typer.Argument(help="Scenario files, or names of shipped ones.")]
Nodes = Annotated[int, typer.Option(min=1, max=9, help="Of the cluster; they take zones in turn.")]
Zones = Annotated[int, typer.Option(min=1, max=3)]
SettleS = Annotated[
    float, typer.Option(min=0, max=1800, help="Load that comes before the warm-up, while Foresail only observes.")
]


@app.command("plan")
def plan(
    scenario: Scenarios,
    arms: Annotated[str, typer.Option(help="Arms to compare, separated by commas.")] = DEFAULT_ARMS,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    max_rps: Annotated[float, typer.Option(min=0.1, help="The most requests a second that may be sent.")] = 60.0,
    scale: Annotated[float, typer.Option(min=0.0001, help="Multiply every rate by this.")] = 1.0,
    warm_up_s: Annotated[float | None, typer.Option(min=0, help="Shorten the warm-up to this.")] = None,
    settle_s: SettleS = SETTLE_S,
    nodes: Nodes = 3,
    zones: Zones = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Say what a scenario is on a live cluster, field by field, or why it cannot be; touches nothing."""
    from chaos.experiments.arms import hpa_values, live_arm
    from chaos.experiments.injecting.registry import INJECTABLE
    from chaos.experiments.live_plan import LiveLimits, live_plan
    from chaos.experiments.shop_map import merged
    from foresail.commands.simulate import scenario_named

    with mistakes():
        limits = LiveLimits(max_rps, _machines(nodes, zones), INJECTABLE, scale, warm_up_s, settle_s)
        chosen = [live_arm(name) for name in comma_list(arms)]
        for name in scenario:
            made = live_plan(scenario_named(name), seed, limits)
            values = {arm.name: merged(made.values, hpa_values(arm, made.scenario.topology)) for arm in chosen}
            if as_json:
                typer.echo(json.dumps({"scenario": name, **_as_json(made), "values": values}))
            else:
                _show(made)


@app.command("mesh")
def mesh(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped one.")],
    namespace: Annotated[str, typer.Option(help="Where the shop is installed.")] = "shop",
    release: Annotated[str, typer.Option(help="As what it is installed.")] = "shop",
    zone: Annotated[list[str] | None, typer.Option(help="The cluster's zones, in the topology's order.")] = None,
) -> None:
    """Print the scenario's faults as Chaos Mesh objects. To be applied when each fault starts; nothing is applied."""
    from chaos.experiments.mesh.objects import MeshTarget, mesh_objects
    from foresail.commands.simulate import scenario_named

    with mistakes():
        read = scenario_named(scenario)
        names = zone or [f"zone-{name}" for name in read.topology.zones]
        if len(names) != len(read.topology.zones):
            refuse(f"--zone is given {len(names)} times, the topology has {len(read.topology.zones)} zones")
        prometheus = {"app.kubernetes.io/instance": release, "app.kubernetes.io/component": "prometheus"}
        zones = dict(zip(read.topology.zones, names, strict=True))
        objects, missing = mesh_objects(read, MeshTarget(namespace, release, zones, prometheus=prometheus))
    if objects:
        typer.echo(yaml.safe_dump_all(objects, sort_keys=False), nl=False)
    for one in missing:
        typer.echo(f"faults.{one.index}: not in Chaos Mesh: {one.why}", err=True)


@app.command("score")
def score(
    out: Annotated[Path, typer.Argument(help="The folder of an experiment.")],
    arms: Annotated[str, typer.Option(help="Order of the arms, separated by commas.")] = DEFAULT_ARMS,
) -> None:
    """Work summary.json, report.html and the tables of an experiment out again from what its runs left."""
    with mistakes():
        tell_scores(out, comma_list(arms))


def tell_scores(out: Path, arms: Sequence[str], as_json: bool = False) -> None:
    """The figures of all that has ended in this folder so far. Ends the command when runs have failed."""
    from chaos.experiments.experiment import recorded_scenarios
    from chaos.experiments.scored import scored
    from chaos.experiments.shop_map import service_of
    from foresail.terminal import show
    from simulation.scoring.summary_json import summary_json

    outcome = scored(out, recorded_scenarios(out), arms, service_of)
    if as_json:
        typer.echo(json.dumps(summary_json(outcome.summary)))
    else:
        show(outcome)
    if outcome.summary.failures:
        raise typer.Exit(SOME_RUNS_FAILED)


def _machines(nodes: int, zones: int) -> tuple[NodePlace, ...]:
    from chaos.clusters.plan import ClusterPlan

    return ClusterPlan(nodes=nodes, zones=zones).places()


def _as_json(made: LivePlan) -> dict[str, object]:
    return {
        "load_s": made.load_s,
        "settle_s": made.settle_s,
        "warm_up_s": made.warm_up_s,
        "peak_rps": made.peak_rps,
        "faults": [p.fault.model_dump(mode="json", exclude_none=True) for p in made.faults],
        "differences": [str(difference) for difference in made.differences],
    }


def _show(made: LivePlan) -> None:
    scenario = made.scenario
    typer.echo(
        f"{scenario.name}: {made.load_s:.0f} s of load, of which the shop has {made.settle_s:.0f} s to settle and "
        f"{made.warm_up_s:.0f} s are warm-up, at most {made.peak_rps:.0f} requests/s"
    )
    for planned in made.faults:
        fault = planned.fault
        typer.echo(f"  t = {fault.start_s:.0f} to {fault.end_s:.0f} s: {fault.label}")
    for difference in made.differences:
        typer.echo(f"  differs: {difference}")


@contextmanager
def mistakes() -> Iterator[None]:
    from chaos.clusters.plan import PlanInvalid
    from chaos.experiments.problems import ExperimentError

    with input_checked():
        try:
            yield
        except (ExperimentError, PlanInvalid) as error:
            refuse(str(error))
