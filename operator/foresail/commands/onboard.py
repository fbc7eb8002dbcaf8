"""`foresail onboard`: what workloads still need before Foresail can act on them, in the safe order. Writes nothing."""

from __future__ import annotations

import json
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.commands.mistakes import SOME_RUNS_FAILED, refuse

if TYPE_CHECKING:
    from foresail.onboarding.onboard import Onboarding
    from foresail.onboarding.sources import Source

ALL_TOOLS = "all"


def onboard(
    name: Annotated[
        str | None, typer.Argument(help="A ResiliencePolicy of the cluster or the files; default: all.")
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Default: all that have a policy; of files: default.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="ResiliencePolicies of a file instead.")] = None,
    filename: Annotated[
        list[Path] | None,
        typer.Option("--filename", "-f", help="Manifests instead of a cluster, such as a rendered chart; - for stdin."),
    ] = None,
    kubeconfig: Annotated[Path | None, typer.Option(help="Default: as kubectl finds it.")] = None,
    context: Annotated[str | None, typer.Option(help="Of the kubeconfig; default: its current one.")] = None,
    gitops: Annotated[
        str | None, typer.Option(help="Also print ignore rules for argo, flux, helm4 or all of them.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when something is missing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Print and check what a workload needs before Foresail acts on it, in the order that cuts no traffic.

    Without any policy all Deployments of --namespace are looked at. Patches are printed, never applied.
    """
    if find_spec("kubernetes") is None:
        refuse("the Kubernetes client is not installed: install foresail with the extra `operator`")
    from foresail.onboard_terminal import onboarding_json, show_onboarding
    from foresail.onboarding.gitops import Tool

    tools = tuple(Tool) if gitops == ALL_TOOLS else tuple(tool for tool in Tool if tool == gitops)
    if gitops is not None and not tools:
        refuse(f"--gitops {gitops}: use {', '.join(Tool)} or {ALL_TOOLS}")
    if filename and (kubeconfig or context):
        refuse("--filename reads no cluster: leave --kubeconfig and --context out")
    found = _found(name, namespace, policy, filename or [], kubeconfig, context)
    if as_json:
        typer.echo(json.dumps(onboarding_json(found, tools), indent=2))
    else:
        show_onboarding(found, tools)
    if check and found.missing:
        raise typer.Exit(SOME_RUNS_FAILED)


def _found(
    name: str | None,
    namespace: str | None,
    policy: Path | None,
    files: list[Path],
    kubeconfig: Path | None,
    context: str | None,
) -> Onboarding:
    from foresail.onboarding.onboard import onboarding, policies_for_all
    from foresail.onboarding.sources import SourceUnreadable, from_manifests, policies_in

    default = namespace or "default"
    try:
        given = None if policy is None else policies_in(_text(policy, "--policy"), str(policy), default)
        if files:
            source = from_manifests([(str(file), _text(file, "--filename")) for file in files], default)
        else:
            places = {body["metadata"].get("namespace") for body in given or ()}
            source = _from_cluster(namespace or (places.pop() if len(places) == 1 else None), kubeconfig, context)
    except SourceUnreadable as error:
        refuse(str(error))
    policies = list(source.policies if given is None else given)
    if name is not None:
        policies = [body for body in policies if body.get("metadata", {}).get("name") == name]
        if not policies:
            refuse(f"there is no ResiliencePolicy {name}: look with `kubectl get rp -A`")
    if not policies:
        if namespace is None and not files:
            refuse("there is no ResiliencePolicy: give --namespace to look at all its Deployments, or --policy FILE")
        policies = policies_for_all(source.held, source.held.namespaces())
    return onboarding(source.held, policies, time.time())


def _from_cluster(namespace: str | None, kubeconfig: Path | None, context: str | None) -> Source:
    import os

    from foresail.api_client import ApiUnreachable, api_client
    from foresail.objects.api_reading import ApiReading, ReadSettings
    from foresail.onboarding.sources import from_cluster

    try:
        client = api_client(os.environ, kubeconfig, context)
    except ApiUnreachable as error:
        refuse(str(error))
    with client:
        return from_cluster(ApiReading(client, ReadSettings()), namespace)


def _text(path: Path, option: str) -> str:
    import sys

    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        refuse(f"{option} {path}: {error.strerror}")
    except UnicodeDecodeError:
        refuse(f"{option} {path}: it is no text")
