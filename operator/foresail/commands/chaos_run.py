"""`foresail chaos run` and `rollback`: scenarios carried out on a real cluster, and what they left taken back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.commands.chaos import (
    DEFAULT_ARMS,
    SETTLE_S,
    Nodes,
    Scenarios,
    SettleS,
    Zones,
    mistakes,
    tell_scores,
)
from foresail.commands.comma_list import comma_list
from foresail.commands.mistakes import make_folder, refuse
from foresail.commands.stopwatch import said_with_time

if TYPE_CHECKING:
    from chaos.experiments.experiment import Wanted
    from chaos.experiments.live.assembly import Site
    from chaos.experiments.live.campaign import Campaign
    from chaos.experiments.live.site import SiteWanted
    from chaos.experiments.state import RunState

STOPPED = 130
COULD_NOT = 3

Cluster = Annotated[str, typer.Option(help="Its name; brought up, and taken down at the end, when it is not up.")]
Out = Annotated[Path, typer.Option(help="Folder of the experiment.")]


def run(
    scenario: Scenarios,
    arms: Annotated[str, typer.Option(help="Arms to compare, separated by commas.")] = DEFAULT_ARMS,
    pairs: Annotated[int, typer.Option(min=1, help="Runs of every arm; a pair shares its seed.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Of the first pair.")] = 1,
    out: Out = Path("out/live"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the experiment in --out.")] = False,
    again: Annotated[str, typer.Option(help="Try these ends once more: failed, aborted, or both.")] = "",
    max_error_minutes: Annotated[float, typer.Option(min=0.1, help="A run that hurts longer is ended.")] = 6.0,
    max_rps: Annotated[float, typer.Option(min=0.1, help="The most requests a second that may be sent.")] = 60.0,
    scale: Annotated[float, typer.Option(min=0.0001, help="Multiply every rate by this.")] = 1.0,
    warm_up_s: Annotated[float | None, typer.Option(min=0, help="Shorten the warm-up to this.")] = None,
    settle_s: SettleS = SETTLE_S,
    probe_hz: Annotated[float, typer.Option(min=0.1, max=10, help="Orders a second that a probe places beside.")] = 1.0,
    cluster: Cluster = "chaos",
    provider: Annotated[str | None, typer.Option(help="bare or kind; default: what this machine can.")] = None,
    timers: Annotated[str, typer.Option(help="Of a cluster that is brought up: production, or short.")] = "production",
    nodes: Nodes = 3,
    zones: Zones = 2,
    keep_cluster: Annotated[bool, typer.Option("--keep-cluster", help="Leave it up at the end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Carry scenarios out on a real cluster under every arm, resumable, and score them; see docs/chaos.md."""
    from chaos.clusters.plan import timers_named
    from chaos.clusters.providers import default_provider
    from chaos.experiments.arms import live_arm
    from chaos.experiments.experiment import Wanted, different, plans_of
    from chaos.experiments.injecting.registry import INJECTABLE
    from chaos.experiments.live.site import SiteWanted, plan_of
    from chaos.experiments.live_plan import LiveLimits
    from foresail.commands.simulate import scenario_named

    say = said_with_time(silent=as_json)
    with mistakes():
        names = comma_list(arms)
        where = SiteWanted(
            *(cluster, provider or default_provider(), timers_named(timers), nodes, zones, keep_cluster),
            keda=any(live_arm(name).autoscaler == "keda" for name in names),
        )
        wanted = Wanted(
            scenarios=tuple(scenario_named(name) for name in scenario),
            arms=names,
            seeds=tuple(range(seed, seed + pairs)),
            limits=LiveLimits(max_rps, plan_of(where).places(), INJECTABLE, scale, warm_up_s, settle_s),
            out=out,
            resume=resume,
            again=_ends(again),
        )
        make_folder(out, "--out")
        for difference in different(plans_of(wanted)):
            say(f"differs: {difference}")
        with _up(where, say) as site:
            _carry_out(site, wanted, max_error_minutes, probe_hz, say)
        tell_scores(out, wanted.arms, as_json)


def rollback(
    out: Annotated[Path, typer.Argument(help="The folder of an experiment that was stopped.")],
    cluster: Cluster = "chaos",
    provider: Annotated[str | None, typer.Option(help="bare or kind; default: what this machine can.")] = None,
) -> None:
    """Take back what a stopped experiment did to its cluster. `foresail chaos run --resume` does it by itself."""
    from chaos.clusters.plan import PRODUCTION
    from chaos.clusters.providers import default_provider, running_cluster
    from chaos.experiments.live.site import SiteWanted

    say = said_with_time()
    with mistakes():
        used = provider or default_provider()
        if not running_cluster(used, cluster, say).status():
            refuse(f"--cluster {cluster}: no such cluster is up, so nothing of an experiment is left on it")
        with _up(SiteWanted(cluster, used, PRODUCTION, 3, 2, keep=True), say) as site, _campaign(site, say) as campaign:
            undone = campaign.roll_back(out)
    for undo in undone:
        typer.echo(f"taken back: {undo}")
    if not undone:
        typer.echo("nothing is left to take back")


def _carry_out(
    site: Site, wanted: Wanted, most_error_minutes: float, probe_hz: float, say: Callable[[str], None]
) -> None:
    from chaos.experiments.interrupts import Interrupted

    try:
        with _campaign(site, say, most_error_minutes, probe_hz) as campaign:
            campaign.carry_out(wanted)
    except Interrupted as error:
        typer.echo(f"foresail: stopped by {error}; what was done is taken back; go on with --resume", err=True)
        raise typer.Exit(STOPPED) from None


@contextmanager
def _campaign(
    site: Site, say: Callable[[str], None], most_error_minutes: float = 1.0, probe_hz: float = 1.0
) -> Iterator[Campaign]:
    from chaos.experiments.conductor import GuardSettings
    from chaos.experiments.interrupts import Interrupts
    from chaos.experiments.live.campaign import Campaign
    from chaos.load.probe import ProbePlan

    with Interrupts().raising() as interrupts:
        yield Campaign(site, ProbePlan(rate_hz=probe_hz), GuardSettings(most_error_minutes), interrupts, say)


@contextmanager
def _up(wanted: SiteWanted, say: Callable[[str], None]) -> Iterator[Site]:
    from chaos.clusters.cluster import ClusterFailed
    from chaos.clusters.images.archive import ImageInvalid
    from chaos.experiments.live.site import site

    with TemporaryDirectory(prefix="foresail-chaos-") as home:
        try:
            with site(wanted, Path(home), say, os.environ) as there:
                yield there
        except (ClusterFailed, ImageInvalid) as error:
            typer.echo(f"foresail: {error}", err=True)
            raise typer.Exit(COULD_NOT) from None


def _ends(again: str) -> frozenset[RunState]:
    from chaos.experiments.state import RunState

    allowed = {state.value: state for state in (RunState.FAILED, RunState.ABORTED)}
    names = comma_list(again)
    for name in names:
        if name not in allowed:
            refuse(f"--again {name}: use {' or '.join(allowed)}, or both with a comma")
    return frozenset(allowed[name] for name in names)
