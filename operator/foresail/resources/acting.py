"""How much a policy lets Foresail do: floors, healing, zone shift and the brakes on all of it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from foresail.resources.sections import Rule, Section
from foresail.resources.targets import MOST_REPLICAS
from policies.model import Rung


class HighestRung(StrEnum):
    """`Rung` as Kubernetes writes enums. A zone shift is asked for in `zones`."""

    OBSERVE = "Observe"
    PRE_SCALE = "PreScale"
    REWEIGHT = "Reweight"
    DRAIN = "Drain"
    REPLACE = "Replace"
    SWITCH_OVER = "SwitchOver"

    @property
    def rung(self) -> Rung:
        return Rung[self.name]


class Scaling(Section):
    """Bounds, costs and pace of the floor that Foresail puts under the HPA."""

    rules = (
        Rule(
            cel="self.minReplicas <= self.maxReplicas",
            message="minReplicas is above maxReplicas: lower minReplicas or raise maxReplicas",
            field="minReplicas",
            holds=lambda s: s.min_replicas <= s.max_replicas,
        ),
        Rule(
            cel="!has(self.safeReplicas) || self.safeReplicas <= self.maxReplicas",
            message="safeReplicas is above maxReplicas: lower safeReplicas or raise maxReplicas",
            field="safeReplicas",
            holds=lambda s: s.safe_replicas is None or s.safe_replicas <= s.max_replicas,
        ),
        Rule(
            cel="self.targetUtilizationRatio <= self.saturationUtilizationRatio",
            message="targetUtilizationRatio is above saturationUtilizationRatio: lower targetUtilizationRatio",
            field="targetUtilizationRatio",
            holds=lambda s: s.target_utilization_ratio <= s.saturation_utilization_ratio,
        ),
    )

    min_replicas: int = Field(1, ge=1, le=MOST_REPLICAS, description="The floor is never lower.")
    max_replicas: int = Field(
        100, ge=1, le=MOST_REPLICAS, description="The floor is never higher; where an HPA allows less, that binds."
    )
    safe_replicas: int | None = Field(
        None,
        ge=1,
        le=MOST_REPLICAS,
        description="For workloads without HPA: never scaled below this. Default: never below what people run.",
    )
    target_utilization_ratio: float = Field(
        0.70, ge=0.1, le=0.95, description="Share of a pod's learned capacity that expected demand may fill."
    )
    saturation_utilization_ratio: float = Field(
        0.92, ge=0.2, le=1.0, description="Share of a pod's learned capacity beyond which requests count as unserved."
    )
    capacity_prior_requests_per_second: float | None = Field(
        None,
        ge=0.01,
        le=1_000_000.0,
        description="What one pod carries, until that is learned from pods that use 15 % of their CPU limit (below 5 % "
        "this alone counts). Default: what they use for each request, however idle they are.",
    )
    lead_time_prior_seconds: float = Field(
        60.0, ge=1.0, le=3600.0, description="From the creation of a pod until it is ready, until that is learned."
    )
    violation_cost_pods: float = Field(
        30.0,
        ge=1.0,
        le=10_000.0,
        description="Price of demand that one pod would have served and did not, in pods for the same time. Higher:"
        " more spare pods, fewer bad requests.",
    )
    cvar_level: float = Field(
        0.95,
        ge=0.5,
        le=0.995,
        description="Floors are priced by the mean shortfall in the worst futures beyond this level.",
    )
    floor_ttl_seconds: float = Field(
        300.0,
        ge=60.0,
        le=3600.0,
        description="A floor that is not renewed ends after this; the value before it returns.",
    )
    descend_pods_per_minute: float = Field(
        1.0, ge=0.1, le=1000.0, description="A floor comes down by the larger of this and `descendRatioPerMinute`."
    )
    descend_ratio_per_minute: float = Field(
        0.10, ge=0.01, le=1.0, description="Share of the floor that it comes down by in a minute."
    )


class Healing(Section):
    """When a failure that is expected is worth an act, and how far an act may go."""

    rules = (
        Rule(
            cel="self.releaseProbability < self.actProbability",
            message="releaseProbability is not below actProbability: lower releaseProbability",
            field="releaseProbability",
            holds=lambda h: h.release_probability < h.act_probability,
        ),
    )

    highest_rung: HighestRung = Field(
        HighestRung.SWITCH_OVER,
        description="The furthest act allowed: Observe, PreScale, Reweight (also brownout), Drain, Replace,"
        " SwitchOver.",
    )
    act_probability: float = Field(
        0.60, ge=0.05, le=0.99, description="Chance of failure before help could come from which on something is done."
    )
    release_probability: float = Field(
        0.30, ge=0.01, le=0.98, description="Chance of failure below which it is called off."
    )
    margin_seconds: float = Field(120.0, ge=0.0, le=3600.0, description="Help is planned to come so much earlier.")
    replace_allowed: bool = Field(
        True, description="Whether pods may be replaced (RollingUpdate Deployments without ReadWriteOnce volumes only)."
    )
    act_ttl_seconds: float = Field(
        600.0, ge=60.0, le=3600.0, description="A drain or replacement ends by itself after this."
    )


class Zones(Section):
    """What may be done when a zone fails."""

    shift_enabled: bool = Field(
        False,
        description="Whether a failed zone may be taken out of rotation: its pods' traffic labels off, its nodes"
        " cordoned, nothing evicted. Also needs the chart's right to cordon nodes.",
    )


class GuardrailsSpec(Section):
    """The brakes. All are on by default; `foresail.dev/paused: \"true\"` on the policy is another."""

    cluster_health_floor_ratio: float = Field(
        0.51,
        ge=0.0,
        le=1.0,
        description="Share of nodes (outside a failed zone) that must be Ready for a disruptive act.",
    )
    drain_cap_ratio: float = Field(
        0.10,
        ge=0.0,
        le=0.5,
        description="Share of a workload's endpoints out of rotation at once; one always may be, the last never.",
    )
    cooldown_seconds: float = Field(
        120.0, ge=0.0, le=86_400.0, description="Between two disruptive acts on one workload."
    )
    storm_window_seconds: float = Field(600.0, ge=60.0, le=86_400.0, description="Window in which acts are counted.")
    storm_acts: int = Field(
        8,
        ge=1,
        le=1000,
        description="So many disruptive acts in the window, all workloads together, stop all further ones.",
    )
    storm_ratio: float = Field(0.25, ge=0.0, le=1.0, description="Or this share of the workloads, whichever is larger.")
    extra_pod_hours_per_day: float | None = Field(
        None, ge=0.0, le=1_000_000.0, description="Cap on what floors may add to one workload. Default: no cap."
    )
