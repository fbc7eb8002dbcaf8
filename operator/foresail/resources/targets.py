"""Which workloads a policy is about, and what each of them is to the storefront."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from foresail.resources.sections import LabelValue, Name, ObjectName, Rule, Section

MOST_REPLICAS = 5000


#: Any kind with a scale subresource; others than Deployment and StatefulSet have to be opened by the installation.
WorkloadKind = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$", min_length=1, max_length=63)]
_KIND = (
    "Deployment, StatefulSet, or any other kind with a scale subresource that the chart lists in `scaleResources`: its"
    " pods are scaled, drained and shifted, never replaced."
)


class Role(StrEnum):
    ENTRY = "Entry"
    DRIVEN = "Driven"
    STORE = "Store"


class WorkloadName(Section):
    """One workload of the policy's namespace."""

    kind: WorkloadKind = Field("Deployment", description=_KIND)
    name: ObjectName = Field(description="Name of the workload, in the namespace of the policy.")


class WorkloadLabels(Section):
    """All workloads of one kind in the policy's namespace that carry these labels."""

    kind: WorkloadKind = Field("Deployment", description="As `workload.kind`.")
    match_labels: dict[str, LabelValue] = Field(
        min_length=1,
        max_length=16,
        description="Labels that the workload itself (not its pods) must carry, all of them.",
    )


class Objectives(Section):
    """What counts as up."""

    availability: float = Field(
        0.999, ge=0.5, le=0.99999, description="Share of requests that must succeed within the latency."
    )
    latency_seconds: float = Field(1.0, ge=0.001, le=60.0, description="An answer later than this is a bad one.")


class ObjectivesOfTarget(Section):
    """Objectives of one target, where they differ."""

    availability: float | None = Field(
        None, ge=0.5, le=0.99999, description="Instead of `spec.objectives.availability`."
    )
    latency_seconds: float | None = Field(
        None, ge=0.001, le=60.0, description="Instead of `spec.objectives.latencySeconds`."
    )


class ScalingOfTarget(Section):
    """Bounds and priors of one target, where they differ."""

    rules = (
        Rule(
            cel="!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",
            message="minReplicas is above maxReplicas: lower minReplicas or raise maxReplicas",
            field="minReplicas",
            holds=lambda s: s.min_replicas is None or s.max_replicas is None or s.min_replicas <= s.max_replicas,
        ),
    )

    min_replicas: int | None = Field(None, ge=1, le=MOST_REPLICAS, description="Instead of `spec.scaling.minReplicas`.")
    max_replicas: int | None = Field(None, ge=1, le=MOST_REPLICAS, description="Instead of `spec.scaling.maxReplicas`.")
    safe_replicas: int | None = Field(
        None, ge=1, le=MOST_REPLICAS, description="Instead of `spec.scaling.safeReplicas`."
    )
    capacity_prior_requests_per_second: float | None = Field(
        None, ge=0.01, le=1_000_000.0, description="Instead of `spec.scaling.capacityPriorRequestsPerSecond`."
    )
    lead_time_prior_seconds: float | None = Field(
        None, ge=1.0, le=3600.0, description="Instead of `spec.scaling.leadTimePriorSeconds`."
    )


class Target(Section):
    """A workload, or several that are alike."""

    rules = (
        Rule(
            cel="has(self.workload) != has(self.selector)",
            message="a target needs workload or selector, not both and not neither: keep one",
            field="workload",
            holds=lambda t: (t.workload is None) != (t.selector is None),
        ),
        Rule(
            cel="(self.role == 'Driven') == has(self.drivenBy)",
            message="drivenBy belongs to role Driven: set both or neither",
            field="drivenBy",
            holds=lambda t: (t.role is Role.DRIVEN) == (t.driven_by is not None),
        ),
    )

    name: Name = Field(description="How the rest of the policy calls this target.")
    workload: WorkloadName | None = Field(None, description="One workload by its name.")
    selector: WorkloadLabels | None = Field(None, description="Workloads by their labels. A target by name goes first.")
    role: Role = Field(
        Role.ENTRY,
        description="`Entry`: its own demand is forecast. `Driven`: requests of `drivenBy` cause its own. `Store`:"
        " never scaled, drained or replaced, only switched over.",
    )
    driven_by: Name | None = Field(
        None,
        description="Name of the target of role Entry whose requests cause this one's. It must match one workload.",
    )
    objectives: ObjectivesOfTarget | None = Field(None, description="Objectives that differ from the policy's.")
    scaling: ScalingOfTarget | None = Field(None, description="Bounds and priors that differ from the policy's.")
