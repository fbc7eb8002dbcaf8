"""`foresail revert`: takes back what Foresail left on objects, with or without a living operator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.commands.mistakes import SOME_RUNS_FAILED, refuse

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from foresail.actuators.api import Fence
    from foresail.actuators.revert import Reverted
    from foresail.settings import Settings

SPARE_S = 60.0  # of the Lease that is left when floors have to be down


def revert(
    expired: Annotated[bool, typer.Option("--expired", help="What was to end by now. For a CronJob.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Everything, as before an uninstall.")] = False,
    dry_run: Annotated[bool, typer.Option(help="The API server checks all writes and stores none.")] = False,
    take_lease: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="With --all: first take the Lease for so long, so that nobody acts anew."),
    ] = None,
    within: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="With --all: floors are down by then. Default: the Lease less a minute."),
    ] = None,
    kubeconfig: Annotated[Path | None, typer.Option(help="Where not run in the cluster.")] = None,
) -> None:
    """Take back what Foresail wrote: floors a tenth or a pod a minute, everything else at once. Others' values stay.

    Workloads of other kinds are looked for in FORESAIL_SCALE_RESOURCES; with --all, or where that is not set, in every
    kind that has a scale subresource.
    """
    import os

    from foresail.api_client import ApiUnreachable, api_client
    from foresail.settings import Settings, SettingsInvalid

    if expired is everything:
        refuse("say either --expired or --all")
    if not everything and (take_lease is not None or within is not None):
        refuse("--take-lease and --within go with --all")
    if (take_lease is not None and take_lease < 1.0) or (within is not None and within < 0.0):
        refuse("--take-lease needs at least 1 second, --within at least 0")
    try:
        settings = Settings.from_environment(os.environ)
        client = api_client(os.environ, kubeconfig)
    except (SettingsInvalid, ApiUnreachable) as error:
        refuse(str(error))
    with client:
        # The chart says which kinds there are, even when there are none; whoever calls by hand does not.
        discover = everything or "FORESAIL_SCALE_RESOURCES" not in os.environ
        _tell(_reverted(client, settings, everything, discover, dry_run, take_lease, within), dry_run)


def _reverted(
    client: ApiClient,
    settings: Settings,
    everything: bool,
    discover: bool,
    dry_run: bool,
    take_lease: float | None,
    within: float | None,
) -> Reverted:
    import time

    from foresail.actuators.api import Api, OpenFence
    from foresail.actuators.intents import Intents
    from foresail.actuators.management import PodHttp
    from foresail.actuators.refusals import ActRefused
    from foresail.actuators.revert import Reverted, Reverter
    from foresail.actuators.scale_kinds import scale_kinds as found_kinds
    from foresail.actuators.settings import ActuatorSettings
    from foresail.actuators.standing import Remembered
    from foresail.actuators.undoing import undo_all
    from foresail.declared_directory import DeclaredDirectory

    fence: Fence = OpenFence()
    leave: Callable[[], None] | None = None
    if take_lease is not None and not dry_run:
        fence, leave = _taken(client, settings, take_lease)
        within = max(0.0, take_lease - SPARE_S) if within is None else within
    api = Api(client, fence, settings.api_timeout_s, dry_run)
    scale_kinds = settings.scale_resources
    if discover:
        scale_kinds = tuple(dict.fromkeys((*scale_kinds, *found_kinds(api))))
    # Kinds that we have no right to are passed over, so all of them may be tried.
    watched = ActuatorSettings(
        watch_namespaces=settings.watch_namespaces,
        zone_shift=True,
        weights=True,
        scale_kinds=scale_kinds,
    )
    # Drains and ceilings are lifted in the pods too, but a dry run can only ask the API server.
    directory = None if dry_run else DeclaredDirectory(api, settings.secrets_folder, scale_kinds)
    http = None if dry_run else PodHttp(api.check_fence)
    reverter = Reverter(api, watched, Remembered(), directory, http)
    if not everything:
        return reverter.expired(time.time())
    if dry_run:
        return reverter.all(time.time(), periods_left=None)
    done = undo_all(reverter, within, time.time, time.sleep)
    if take_lease is None:
        return done  # a living operator goes by its intents
    try:
        # A zone shift that was under way must not be gone on with by the next installation.
        Intents(api, settings.namespace, "revert").clear(fence.epoch)
    except ActRefused as error:
        return Reverted(done.undone, done.pending, (*done.refused, error.refused))
    if leave is not None and not done.refused:
        leave()
    return done


def _taken(client: ApiClient, settings: Settings, duration_s: float) -> tuple[Fence, Callable[[], None]]:
    """A fence that is open for as long as the Lease that was taken, and what shortens that Lease when all is done."""
    import contextlib
    import time
    import uuid

    from kubernetes.client import CoordinationV1Api

    from foresail.actuators.undoing import leave, seize
    from foresail.leadership.election import Fence as LeaseFence
    from foresail.leadership.lease import KubernetesLease, LeaseUnavailable

    lease = KubernetesLease(CoordinationV1Api(client), settings.namespace, settings.lease_name, settings.api_timeout_s)
    begun_s, identity = time.monotonic(), f"revert_{uuid.uuid4().hex[:8]}"
    try:
        epoch = seize(lease, identity, duration_s, time.time, time.sleep)
    except LeaseUnavailable as error:
        typer.echo(f"foresail: the Lease could not be taken, so nothing was undone: {error}", err=True)
        raise typer.Exit(SOME_RUNS_FAILED) from error
    fence = LeaseFence(time.monotonic)
    fence.open(begun_s + duration_s, epoch)

    def left() -> None:
        with contextlib.suppress(LeaseUnavailable):  # it ends by itself, only later
            leave(lease, identity, time.time)

    return fence, left


def _tell(done: Reverted, dry_run: bool) -> None:
    """One line per object; exit code 1 when something is left."""
    for step in done.undone:
        typer.echo(f"{'would be ' if dry_run else ''}{step.how:<11} {step.act:<10} {step.path}")
    if done.pending and not dry_run:
        typer.echo(f"{done.pending} on their way down, a step a minute")
    for refused in done.refused:
        typer.echo(f"foresail: {refused.reason.value}: {refused.detail}", err=True)
    if not done.undone and not done.refused:
        typer.echo("nothing to take back")
    if done.refused:
        raise typer.Exit(SOME_RUNS_FAILED)
