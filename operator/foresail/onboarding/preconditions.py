"""What a workload needs besides the label so that pods can come and go unnoticed."""

from __future__ import annotations

from collections.abc import Iterator

from foresail.actuators import paths
from foresail.actuators.api import Json
from foresail.objects.fields import Json as Fields
from foresail.objects.fields import at, entries, text, whole
from foresail.objects.object_state import WorkloadObjects
from foresail.onboarding.findings import Finding, Weight
from foresail.onboarding.snapshot import Snapshot
from foresail.resources.bindings import WorkloadBinding

_DEFAULT_GRACE_S = 30  # Kubernetes's


def findings(
    held: Snapshot, workload: WorkloadObjects, own: Json, binding: WorkloadBinding, least: int
) -> tuple[Finding, ...]:
    """Of a workload that serves requests; `least`: how many pods stand at rest."""
    spec = at(own, "spec", "template", "spec")
    return (
        *_readiness(spec),
        *_leaving(spec),
        *_spare(least),
        *_budgets(held, workload, least),
        *_management(spec, binding),
        *_resources(workload),
        *_autoscalers(held, workload, own),
    )


def _readiness(spec: object) -> Iterator[Finding]:
    containers = entries(spec, "containers")
    if not any(at(container, "readinessProbe") is not None for container in containers):
        said = "no readiness probe: pods get requests before they can answer, and nobody learns how long a start takes"
        yield Finding(Weight.MISSING, "probe", said, "give the container that serves requests a readinessProbe")


def _leaving(spec: object) -> Iterator[Finding]:
    """Routers learn a second or more after the kubelet that a pod ends."""
    grace = whole(spec, "terminationGracePeriodSeconds")
    grace_s = _DEFAULT_GRACE_S if grace is None else grace
    stops = [at(container, "lifecycle", "preStop") for container in entries(spec, "containers")]
    if all(stop is None for stop in stops):
        said = "no preStop: a pod that scales down stops listening while routers still send to it"
        fix = "lifecycle.preStop.sleep.seconds: 5, unless the program itself goes on serving after SIGTERM"
        yield Finding(Weight.ADVICE, "leaving", said, fix)
    sleeps_s = max((whole(stop, "sleep", "seconds") or 0 for stop in stops), default=0)
    if grace_s <= sleeps_s:
        said = f"preStop sleeps {sleeps_s} s, but the pod is killed after {grace_s} s: requests under way are cut off"
        fix = f"terminationGracePeriodSeconds: {sleeps_s + _DEFAULT_GRACE_S}"
        yield Finding(Weight.MISSING, "leaving", said, fix)


def _spare(least: int) -> Iterator[Finding]:
    if least == 0:
        yield Finding(Weight.ADVICE, "replicas", "0 replicas: it is switched off", "nothing; Foresail leaves it alone")
    elif least == 1:
        said = "one pod at rest: it cannot be drained before another serves, and its node's death is an outage"
        yield Finding(Weight.ADVICE, "replicas", said, "minReplicas: 2, where a gap of seconds matters")


def _budgets(held: Snapshot, workload: WorkloadObjects, least: int) -> Iterator[Finding]:
    names = {budget.meta.name for budget in workload.budgets}
    budgets = [row for name in sorted(names) for row in held.of(_BUDGETS, workload.record.meta.namespace, name)]
    if not budgets and least > 1:
        said = "no PodDisruptionBudget: whoever drains nodes may take all pods at once"
        yield Finding(Weight.ADVICE, "budget", said, f"a PodDisruptionBudget with minAvailable: {least - 1}")
    for budget in budgets:
        name, fewest = budget["metadata"]["name"], at(budget, "spec", "minAvailable")
        if not isinstance(fewest, int):
            said = f"PodDisruptionBudget {name} counts by share or maxUnavailable, which cannot count a detached pod"
            fix = f"minAvailable: {max(1, least - 1)}, a number"
            yield Finding(Weight.ADVICE, "budget", said, fix)
        elif least and fewest >= least:
            said = (
                f"PodDisruptionBudget {name} wants {fewest} of {least} pods: a replacement waits for more to be Ready"
            )
            yield Finding(Weight.ADVICE, "budget", said, f"minAvailable: {least - 1}, or one replica more")


def _management(spec: object, binding: WorkloadBinding) -> Iterator[Finding]:
    endpoint = binding.drain
    if endpoint is None:
        said = "the policy names no drain endpoint: clients keep their connections to a drained pod until they close"
        yield Finding(Weight.ADVICE, "drain", said, "spec.drain of the policy, where the program has such an endpoint")
        return
    containers = entries(spec, "containers")
    ports = {whole(port, "containerPort") for container in containers for port in entries(container, "ports")}
    if ports and endpoint.port not in ports:
        said = f"the policy drains on port {endpoint.port}, which no container declares"
        yield Finding(Weight.ADVICE, "drain", said, "correct spec.drain.port, or declare the port")


def _resources(workload: WorkloadObjects) -> Iterator[Finding]:
    asked = workload.record.template.resources
    if asked.memory_limit_bytes is None:
        said = "not every container has a memory limit: leaks cannot be foreseen"
        yield Finding(Weight.ADVICE, "resources", said, "resources.limits.memory, or a limit in failureSignals")
    if asked.cpu_request_cores is None:
        said = "no CPU request: an HPA on CPU utilization cannot count, and the scheduler keeps nothing free"
        yield Finding(Weight.ADVICE, "resources", said, "resources.requests.cpu")


def _autoscalers(held: Snapshot, workload: WorkloadObjects, own: Json) -> Iterator[Finding]:
    scaling = [row for row in held.of(paths.HPAS, workload.record.meta.namespace) if _scales(row, workload)]
    if len(scaling) > 1:
        names = ", ".join(sorted(row["metadata"]["name"] for row in scaling))
        yield Finding(Weight.MISSING, "autoscaler", f"several HPAs scale it: {names}", "leave one")
    if scaling and not held.live and whole(own, "spec", "replicas") is not None:
        said = "the manifest sets replicas beside an HPA: each deployment undoes what the HPA, and a floor, have done"
        yield Finding(Weight.ADVICE, "autoscaler", said, "leave spec.replicas out of the manifest")


def _scales(hpa: Fields, workload: WorkloadObjects) -> bool:
    target = at(hpa, "spec", "scaleTargetRef")
    return text(target, "kind") == workload.kind and text(target, "name") == workload.record.meta.name


_BUDGETS: paths.Kind = ("policy/v1", "poddisruptionbudgets")
