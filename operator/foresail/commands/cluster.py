"""`foresail cluster`: real Kubernetes on this machine, for tests: up, down, and hurt in between."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foresail.commands.mistakes import refuse
from foresail.commands.stopwatch import said_with_time

if TYPE_CHECKING:
    from chaos.clusters.cluster import Cluster

COULD_NOT = 3
NOTHING_UP = 1

app = typer.Typer(
    help="Real Kubernetes on this machine, for tests: up, down, and hurt in between.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Option("--name", help="Of the cluster; several can be up.")]
Provider = Annotated[
    str | None, typer.Option(help="bare (processes; needs root) or kind (Docker); default: what this machine can.")
]
NodeName = Annotated[str, typer.Argument(help="A node, as `foresail cluster status` names it.")]
ZoneName = Annotated[str, typer.Argument(help="A zone, as `foresail cluster status` names it.")]
NAME = "foresail"


@app.command("up")
def up(
    name: Name = NAME,
    provider: Provider = None,
    nodes: Annotated[int, typer.Option(help="1 to 9.")] = 3,
    zones: Annotated[int, typer.Option(help="Nodes take zones in turn.")] = 2,
    timers: Annotated[str, typer.Option(help="short, or production: as of a cluster nobody tuned.")] = "short",
    image: Annotated[list[Path] | None, typer.Option(help="Archive that all nodes have; may be repeated.")] = None,
    memory_mib: Annotated[int, typer.Option(help="That each node offers.")] = 4096,
    cpus: Annotated[float | None, typer.Option(help="That each node offers; default: this machine's.")] = None,
    prometheus: Annotated[bool, typer.Option("--prometheus", help="Run one on the control plane.")] = False,
) -> None:
    """Bring a cluster up; does nothing when it is."""
    from chaos.clusters.plan import ClusterPlan, timers_named
    from chaos.clusters.providers import default_provider, make_cluster

    with _mistakes():
        images = tuple(path.resolve() for path in image or ())
        for path in images:
            if not path.is_file():
                refuse(f"--image {path}: no such file")
        plan = ClusterPlan(name, nodes, zones, timers_named(timers), memory_mib, cpus, prometheus, images)
        cluster = make_cluster(provider or default_provider(), plan, said_with_time(err=True))
        cluster.up()
    typer.echo(f"export KUBECONFIG={cluster.kubeconfig}")


@app.command("down")
def down(name: Name = NAME, provider: Provider = None) -> None:
    """Take a cluster away, in whatever state it is; nothing of it is left."""
    with _mistakes():
        _running(name, provider).down()


@app.command("status")
def status(name: Name = NAME, provider: Provider = None) -> None:
    """Show its machines; exit code 1 when there is no such cluster."""
    with _mistakes():
        machines = _running(name, provider).status()
    if not machines:
        typer.echo(f"no cluster {name} is up")
        raise typer.Exit(NOTHING_UP)
    for machine in machines:
        power = "on" if machine.powered else "off"
        cable = {True: "connected", False: "cut off", None: "unknown"}[machine.connected]
        typer.echo(f"{machine.name:<16} {machine.zone or '-':<8} {power:<4} {cable}")


@app.command("build")
def build(
    compilers: Annotated[
        int | None, typer.Option(min=1, help="Packages compiled at a time; default: all cores.")
    ] = None,
    core: Annotated[bool, typer.Option("--core", help="Without Prometheus.")] = False,
    with_: Annotated[
        list[str] | None, typer.Option("--with", help="keda: also what its arm of live experiments runs.")
    ] = None,
) -> None:
    """Install and compile what clusters are made of; done once, and nothing when it is there."""
    from chaos.clusters.building import build_programs
    from chaos.clusters.on_demand import SETS, build_set, set_folder
    from chaos.clusters.programs import programs_folder
    from chaos.clusters.providers import folders_here

    for name in with_ or ():
        if name not in SETS:
            refuse(f"--with {name}: use {' or '.join(SETS)}")
    with _mistakes():
        folders = folders_here(os.environ)
        build_programs(folders, os.environ, typer.echo, with_optional=not core, compilers=compilers)
        typer.echo(f"all programs are in {programs_folder(folders)}")
        for name in with_ or ():
            build_set(SETS[name], folders, os.environ, typer.echo, compilers=compilers)
            typer.echo(f"{name} is in {set_folder(folders, SETS[name])}")


@app.command("prepare")
def prepare_everything() -> None:
    """Make all that tests on a real cluster need, programs and images, as far as it is missing or has changed."""
    from chaos.clusters.images.archive import ImageInvalid
    from chaos.clusters.preparing import prepare
    from chaos.clusters.providers import folders_here

    with _mistakes():
        try:
            prepare(folders_here(os.environ), os.environ, typer.echo)
        except ImageInvalid as error:
            refuse(str(error))


@app.command("image")
def image(
    what: Annotated[str, typer.Argument(help="operator, shop, stores, prometheus, load or keda.")],
    out: Annotated[
        Path | None, typer.Option(help="The archive; default: in the cache, kept until what it is made of changes.")
    ] = None,
) -> None:
    """Build one of the project's images as an archive; needs root, no Docker and no registry."""
    from chaos.clusters.images.archive import ImageInvalid
    from chaos.clusters.images.current import current_image
    from chaos.clusters.images.recipes import EXTRA_RECIPES, RECIPES, build_image
    from chaos.clusters.on_demand import folder_of_programs
    from chaos.clusters.providers import folders_here

    recipes = RECIPES | EXTRA_RECIPES
    if what not in recipes:
        refuse(f"no image is called {what!r}: use one of {', '.join(recipes)}")
    recipe, folders = recipes[what], folders_here(os.environ)
    cache = folders.images
    with _mistakes():
        try:
            programs = folder_of_programs(recipe.programs, folders)
            archive = build_image(recipe, cache, out, programs) if out else current_image(recipe, cache, programs)
        except ImageInvalid as error:
            refuse(str(error))
    typer.echo(f"{archive} {archive.stat().st_size / 1e6:.0f} MB")


@app.command("load-image")
def load_image(
    archives: Annotated[
        list[Path], typer.Argument(help="Archives as `docker save` or `foresail cluster image` write.")
    ],
    name: Name = NAME,
    provider: Provider = None,
) -> None:
    """Put images into all nodes of a running cluster."""
    from chaos.clusters.images.archive import ImageInvalid

    with _mistakes():
        cluster = _running(name, provider)
        for archive in archives:
            try:
                cluster.load_image(archive.resolve())
            except ImageInvalid as error:
                refuse(str(error))


def _node_command(verb: str, text: str) -> None:
    def act(node: NodeName, name: Name = NAME, provider: Provider = None) -> None:
        with _mistakes():
            getattr(_running(name, provider), f"{verb}_node")(node)

    app.command(f"{verb}-node", help=text)(act)


def _zone_command(verb: str, text: str) -> None:
    def act(zone: ZoneName, name: Name = NAME, provider: Provider = None) -> None:
        with _mistakes():
            getattr(_running(name, provider), f"{verb}_zone")(zone)

    app.command(f"{verb}-zone", help=text)(act)


_node_command("kill", "Cut a node's power: all of its processes end at once.")
_node_command("start", "Give a node power again.")
_node_command("cut", "Pull a node's network cable.")
_node_command("heal", "Plug it in again.")
_zone_command("kill", "Cut the power of a whole zone.")
_zone_command("start", "Give a zone power again.")
_zone_command("cut", "Cut a zone off from all others.")
_zone_command("heal", "Join it to the others again.")


@app.command("restart-api")
def restart_api(name: Name = NAME, provider: Provider = None) -> None:
    """Kill the API server's process, and wait until another one answers."""
    with _mistakes():
        _running(name, provider).restart_api_server()


@app.command("exec", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def execute(
    command: Annotated[list[str], typer.Argument(help="A program and its arguments, after --.")],
    name: Name = NAME,
    provider: Provider = None,
) -> None:
    """Run a program in the cluster's network; addresses of services and pods work there."""
    with _mistakes():
        code = _running(name, provider).execute(command)
    raise typer.Exit(code)


@app.command("forward")
def forward(
    address: Annotated[str, typer.Argument(help="IP:PORT of a pod, a service or a machine.")],
    port: Annotated[int, typer.Option(help="On 127.0.0.1; 0: any free one, which is printed.")] = 0,
    name: Name = NAME,
    provider: Provider = None,
) -> None:
    """Listen on this machine for an address in the cluster, until Ctrl-C or SIGTERM."""
    told_to_end = threading.Event()
    # Shells start background jobs with Ctrl-C ignored, and end them by SIGTERM.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told_to_end.set())
    with _mistakes():
        forwarding = _running(name, provider).forward(address, port)
    typer.echo(forwarding.port)
    try:
        told_to_end.wait()
    finally:
        forwarding.close()


def _running(name: str, provider: str | None) -> Cluster:
    from chaos.clusters.providers import default_provider, running_cluster

    return running_cluster(provider or default_provider(), name, said_with_time(err=True))


@contextmanager
def _mistakes() -> Iterator[Any]:
    """Turns what is wrong with the input, or could not be done, into one message and an exit code."""
    from chaos.clusters.cluster import ClusterFailed
    from chaos.clusters.plan import PlanInvalid

    try:
        yield
    except PlanInvalid as error:
        refuse(str(error))
    except ClusterFailed as error:
        typer.echo(f"foresail: {error}", err=True)
        raise typer.Exit(COULD_NOT) from None
