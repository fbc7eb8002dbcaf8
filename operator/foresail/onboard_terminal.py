"""Onboarding as people and programs read it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import typer
import yaml

from foresail.onboarding import gitops
from foresail.onboarding.findings import Change, RungAnswer, Weight, WorkloadReport
from foresail.onboarding.gitops import Tool, Written
from foresail.onboarding.onboard import Onboarding
from foresail.resources.targets import Role
from policies.model import Rung

RUNGS = {
    Rung.OBSERVE: "observe",
    Rung.PRE_SCALE: "pre-scale",
    Rung.REWEIGHT: "dim",
    Rung.DRAIN: "drain",
    Rung.REPLACE: "replace",
    Rung.SWITCH_OVER: "switch over",
    Rung.SHIFT_ZONE: "shift zone",
}


def show_onboarding(found: Onboarding, tools: Sequence[Tool]) -> None:
    """Everything on stdout: it is what was asked for."""
    for problem in found.problems:
        typer.echo(f"policy {problem.policy}: {problem.field}: {problem.message}")
    for report in found.workloads:
        typer.echo("\n".join(_workload(report)) + "\n")
    for line in _lean(found):
        typer.echo(line)
    for tool in tools:
        typer.echo("\n".join(_rules(tool, found.written)) + "\n")
    typer.echo(_verdict(found))


def onboarding_json(found: Onboarding, tools: Sequence[Tool]) -> dict[str, Any]:
    return {
        "missing": found.missing,
        "problems": [
            {"policy": str(one.policy), "kind": one.kind.value, "field": one.field, "message": one.message}
            for one in found.problems
        ],
        "workloads": [_workload_json(report) for report in found.workloads],
        "gitops": {tool.value: _rules_json(tool, found.written) for tool in tools},
    }


def _workload(report: WorkloadReport) -> Iterator[str]:
    state = "ready" if not report.missing else f"{report.missing} missing"
    yield f"{report.workload}  ({report.kind}, {report.role.value}, policy {report.policy}): {state}"
    yield f"  can   {', '.join(_able(answer) for answer in report.rungs if answer.possible)}"
    reasons: dict[str, list[str]] = {}
    for answer in report.rungs:
        # That a workload of another role is no database goes without saying.
        told = answer.rung is not Rung.SWITCH_OVER or report.role is Role.STORE
        if not answer.possible and told:
            reasons.setdefault(answer.why, []).append(RUNGS[answer.rung])
    for why, rungs in reasons.items():
        yield f"  not   {', '.join(rungs)}: {why}"
    for number, step in enumerate(report.steps, 1):
        yield f"  step {number}: {step.text}"
        yield f"      {step.command}"
        if step.change is not None:
            yield "      or in its manifest:"
            yield textwrap.indent(_yaml(step.change.patch), " " * 8)
        if step.too_early is not None:
            yield f"      not yet: {step.too_early}"
    for finding in report.findings:
        yield f"  {'MISSING' if finding.weight is Weight.MISSING else 'advice '} {finding.said}"
        yield f"          → {finding.fix}"


def _lean(found: Onboarding) -> Iterator[str]:
    """Equal changes as one command: most HPAs of a shop are alike."""
    alike: dict[tuple[str, str], list[Change]] = {}
    for report in found.workloads:
        if report.lean is not None:
            alike.setdefault((report.lean.namespace, json.dumps(report.lean.patch)), []).append(report.lean)
    if alike:
        yield "HPAs lean enough to go with a floor. Only once the policy enforces: without floors they are too slow."
    for changes in alike.values():
        command = replace(changes[0], name='"$hpa"').command
        yield f"  for hpa in {' '.join(change.name for change in changes)}; do"
        yield f"    {command}"
        yield "  done\n"


def _able(answer: RungAnswer) -> str:
    return RUNGS[answer.rung] + (f" ({answer.why})" if answer.why else "")


def _verdict(found: Onboarding) -> str:
    ready = sum(not report.missing for report in found.workloads)
    if not found.workloads:
        return "no workload is selected"
    if not found.missing:
        return f"all {ready} workloads are ready"
    return f"{ready} of {len(found.workloads)} workloads are ready; {found.missing} things are missing"


def _rules(tool: Tool, written: Sequence[Written]) -> Iterator[str]:
    match tool:
        case Tool.ARGO:
            yield "# Argo CD: into the Application."
            yield _yaml(gitops.argo(written))
        case Tool.FLUX:
            yield "# Flux 2.9 or newer: into the Kustomization. Hand the fields over first (below)."
            yield "# Older: annotate them kustomize.toolkit.fluxcd.io/ssa: IfNotPresent, which leaves them alone whole."
            yield _yaml(gitops.flux_kustomization(written))
            yield "# Flux, where a HelmRelease installs it: into the HelmRelease."
            yield _yaml(gitops.flux_helm_release(written))
            yield from _handovers(written)
        case Tool.HELM_4:
            yield "# Helm 4 applies on the server's side: an upgrade stops at a field that Foresail holds just then."
            yield "# Leave these fields out of the chart, after handing them over:"
            yield from (f"#   {field.kind} {field.namespace}/{field.name} {'.'.join(field.path)}" for field in written)
            yield "# Or let the template write the floor while it stands, as charts/demo-shop does (shop.floorOr)."
            yield "# Or upgrade with --force-conflicts: the floor is gone until the next tick raises it anew."
            yield from _handovers(written)


def _handovers(written: Sequence[Written]) -> Iterator[str]:
    yield "# A field that nobody else owns falls to its default when its applier lets go of it: hand over first."
    for field in written:
        yield gitops.handover(field)


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False).rstrip()


def _rules_json(tool: Tool, written: Sequence[Written]) -> dict[str, Any]:
    fields = [
        {"kind": field.kind, "namespace": field.namespace, "name": field.name, "pointer": field.pointer}
        for field in written
    ]
    match tool:
        case Tool.ARGO:
            return {"fields": fields, "application": gitops.argo(written)}
        case Tool.FLUX:
            rules = {"kustomization": gitops.flux_kustomization(written)}
            return {"fields": fields, **rules, "helmRelease": gitops.flux_helm_release(written)}
        case Tool.HELM_4:
            return {"fields": fields, "handover": [gitops.handover(field) for field in written]}


def _workload_json(report: WorkloadReport) -> dict[str, Any]:
    lean = report.lean
    return {
        "workload": report.workload,
        "kind": report.kind,
        "policy": report.policy,
        "target": report.target,
        "role": report.role.value,
        "missing": report.missing,
        "steps": [
            {
                "text": step.text,
                "command": step.command,
                "patch": None if step.change is None else step.change.patch,
                "notYet": step.too_early,
            }
            for step in report.steps
        ],
        "findings": [
            {"weight": one.weight.value, "topic": one.topic, "said": one.said, "fix": one.fix}
            for one in report.findings
        ],
        "ladder": [{"rung": RUNGS[one.rung], "possible": one.possible, "why": one.why} for one in report.rungs],
        "leanHpa": None if lean is None else {"command": lean.command, "patch": lean.patch},
    }
