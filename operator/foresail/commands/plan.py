"""`foresail plan`: what the operator would decide now about a policy, with its reasons. Writes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foresail.commands.mistakes import SOME_RUNS_FAILED, refuse

if TYPE_CHECKING:
    from foresail.dry_run import Planned


def plan(
    policy: Annotated[Path, typer.Option(help="ResiliencePolicies, a YAML file.")],
    prometheus: Annotated[str | None, typer.Option(metavar="URL", help="Default: FORESAIL_PROMETHEUS_URL.")] = None,
    kubeconfig: Annotated[Path | None, typer.Option(help="Default: as kubectl finds it.")] = None,
    fresh: Annotated[bool, typer.Option(help="Leave aside what a running operator has learned.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Show what would be done now under a policy, and why. Nothing is written to the cluster."""
    import os
    from dataclasses import replace

    if find_spec("kubernetes") is None:
        refuse("the Kubernetes client is not installed: install foresail with the extra `operator`")
    from foresail.api_client import ApiUnreachable, api_client
    from foresail.dry_run import PlanFailed, dry_run
    from foresail.prometheus.settings import PrometheusSettingsInvalid
    from foresail.settings import Settings, SettingsInvalid

    bodies = _read(policy)
    try:
        settings = Settings.from_environment(os.environ)
        if prometheus is not None:
            settings = replace(settings, prometheus_url=prometheus)
        client = api_client(os.environ, kubeconfig)
        with client:
            done = dry_run(settings, client, bodies, remembered=not fresh)
    except (SettingsInvalid, PrometheusSettingsInvalid, ApiUnreachable, PlanFailed) as error:
        refuse(str(error))
    if as_json:
        typer.echo(json.dumps(_as_json(done), indent=2))
    else:
        _tell(done)
    if done.problems:
        raise typer.Exit(SOME_RUNS_FAILED)


def _read(path: Path) -> Sequence[object]:
    import yaml

    try:
        bodies = [body for body in yaml.safe_load_all(path.read_text(encoding="utf-8")) if body is not None]
    except OSError as error:
        refuse(f"--policy {path}: {error.strerror}")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        refuse(f"--policy {path}: it is no YAML: {error}")
    if not bodies:
        refuse(f"--policy {path}: it holds no ResiliencePolicy")
    return bodies


def _tell(done: Planned) -> None:
    from foresail.explained import clock
    from policies.explain import render

    for problem in done.problems:
        typer.echo(f"foresail: {problem}", err=True)
    if done.checkpoint_at_s is None:
        typer.echo("With nothing learned yet: capacity and lead times are those that the policy declares.")
    else:
        typer.echo(f"With what the operator had learned by {clock(done.checkpoint_at_s)}.")
    age_s = done.metrics_age_s
    typer.echo("Metrics: unknown." if age_s is None else f"Metrics: {age_s:.0f} s old.")
    for decision in done.decisions:
        typer.echo(f"\n{decision.workload}\n  {render(decision, clock)}")


def _as_json(done: Planned) -> dict[str, Any]:
    from foresail.explained import explained

    return {
        "decisions": [explained(decision) for decision in done.decisions],
        "problems": [
            {"policy": str(one.policy), "kind": one.kind.value, "field": one.field, "message": one.message}
            for one in done.problems
        ],
        "checkpointAtSeconds": done.checkpoint_at_s,
        "metricsAgeSeconds": done.metrics_age_s,
    }
