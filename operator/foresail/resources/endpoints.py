"""What Foresail may talk to beside the API server: Patroni, and the management port of the user's own pods."""

from __future__ import annotations

from pydantic import Field

from foresail.resources.sections import FileName, LabelValue, Name, ObjectName, Port, Ratio, Section


class Database(Section):
    """A PostgreSQL cluster under Patroni that may be switched over before its primary fails."""

    target: Name = Field(description="Name of the target of role Store that runs the members.")
    scope: ObjectName = Field(description="Patroni's `scope`, the name of the cluster.")
    scope_label: str = Field(
        "cluster-name",
        min_length=1,
        max_length=317,
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$",
        description="Label that holds the scope on the members' pods (Patroni's `kubernetes.scope_label`). Pods of the"
        " namespace that bear it are the members, whatever runs them; where none does, the target's pods are.",
    )
    labels: dict[str, LabelValue] = Field(
        default_factory=dict, max_length=16, description="Further labels that tell the members' pods from others."
    )
    service: ObjectName | None = Field(
        None, description="Service of the members' REST API. Default: pods are asked by their own address."
    )
    rest_port: Port = Field(8008, description="Port of Patroni's REST API.")
    credentials_file: FileName | None = Field(
        None,
        description="Name of a file with `user:password` of the REST API, in the operator's secrets folder for the"
        " policy's namespace. Never the secret itself.",
    )


class Brownout(Section):
    """Optional content that the gateway may dim while capacity is late."""

    target: Name = Field(description="Name of the target whose pods serve `/-/brownout`.")
    port: Port = Field(9090, description="Management port of those pods.")
    lowest_ceiling: Ratio = Field(0.0, description="The share of optional content is never limited further than this.")
    ttl_seconds: float = Field(60.0, ge=15.0, le=3600.0, description="A ceiling that is not renewed ends after this.")
    optional_cost_ratio: float = Field(
        0.30, ge=0.01, le=1.0, description="Share of a request's work that optional content costs."
    )
    token_file: FileName | None = Field(
        None,
        description="Name of a file with the bearer token, in the operator's secrets folder for the policy's namespace."
        " Never the token itself.",
    )


class Drain(Section):
    """The endpoint that makes a pod let go of its connections before it is replaced."""

    port: Port = Field(9090, description="Management port of the pods.")
    path: str = Field("/-/drain", max_length=256, pattern=r"^/[-._~/A-Za-z0-9]*$", description="Path of the endpoint.")
    timeout_seconds: float = Field(
        60.0,
        ge=15.0,
        le=300.0,
        description="How long a pod that is being replaced may go on answering, once it gets no new requests, before it"
        " goes anyway.",
    )
    token_file: FileName | None = Field(None, description="As `brownout.tokenFile`.")
