"""What the operator is told by its environment, checked once at the start."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PERSISTENCE = "persistence"
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_OUTLOOKS = ("FORECAST", PERSISTENCE.upper())


class SettingsInvalid(ValueError):
    """A variable has a value that means nothing. Permanent: its text names the variable and what it may be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one replica. Names of variables are those of the fields, upper case, after `FORESAIL_`."""

    namespace: str = "foresail"  # the operator's own: Lease, checkpoint, kill switch
    replica: str = "foresail"  # names this replica in the Lease; the pod's name
    node: str | None = None  # where this replica runs, None: unknown
    zone: str | None = None  # the vantage point of its probes, None: the zone of its node
    watch_namespaces: tuple[str, ...] = ()  # empty: all
    prometheus_url: str | None = None  # None: no metrics, so that everything holds
    prometheus_timeout_s: float = 5.0  # of one query, from the first byte out to the last byte in
    prometheus_token_file: Path | None = None  # bearer token, read again for every query
    prometheus_ca_file: Path | None = None  # None: the system's
    prometheus_matchers: str = ""  # such as cluster="eu-1", for stores that hold several clusters
    secrets_folder: Path | None = None  # files that policies name, in a folder for each of their namespaces
    api_timeout_s: float = 5.0  # of one request to the API server; the Lease outlives several of them
    http_port: int = 8080  # metrics, health, probes and decisions; 0: any free one
    lease_name: str = "foresail"
    lease_duration_s: float = 15.0  # what Kubernetes' own controllers use
    lease_renew_deadline_s: float = 10.0
    lease_retry_s: float = 2.0
    checkpoint_period_s: float = 300.0
    checkpoint_before_acts_s: float = 30.0  # at most this often beside the period
    tick_s: float = 15.0  # forecasting and policies are made for this step
    fast_tick_s: float = 1.0
    exported_workloads: int = 200  # cap on the cardinality of /metrics
    stale_after_s: float = 90.0  # /healthz: age of the last tick or object event that counts as dead; six ticks
    model_threads: int = 2
    models_folder: Path | None = None  # registry of models trained on the user's history, None: the default only
    outlook: str = "forecast"  # or persistence: the present value stands for the future, for comparisons
    zone_shift: bool = False  # whether the chart gave the right to cordon
    weights: bool = False  # whether HTTPRoutes may be written
    scale_resources: tuple[tuple[str, str], ...] = ()  # workloads beside Deployments and StatefulSets
    log_level: str = "INFO"
    seed: int = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """The settings of a process. Raises `SettingsInvalid`, which names the variable and the fix."""
        read = _Reader(environment)
        default = cls()
        settings = cls(
            namespace=read.text("NAMESPACE", default.namespace),
            replica=read.text("REPLICA", socket.gethostname()),
            node=read.optional("NODE"),
            zone=read.optional("ZONE"),
            watch_namespaces=read.names("WATCH_NAMESPACES"),
            prometheus_url=read.url("PROMETHEUS_URL"),
            prometheus_timeout_s=read.seconds("PROMETHEUS_TIMEOUT_S", default.prometheus_timeout_s),
            prometheus_token_file=read.path("PROMETHEUS_TOKEN_FILE"),
            prometheus_ca_file=read.path("PROMETHEUS_CA_FILE"),
            prometheus_matchers=read.text("PROMETHEUS_MATCHERS", default.prometheus_matchers),
            secrets_folder=read.path("SECRETS_FOLDER"),
            api_timeout_s=read.seconds("API_TIMEOUT_S", default.api_timeout_s),
            http_port=read.whole("HTTP_PORT", default.http_port, least=0, most=65_535),
            lease_name=read.text("LEASE_NAME", default.lease_name),
            lease_duration_s=read.seconds("LEASE_DURATION_S", default.lease_duration_s),
            lease_renew_deadline_s=read.seconds("LEASE_RENEW_DEADLINE_S", default.lease_renew_deadline_s),
            lease_retry_s=read.seconds("LEASE_RETRY_S", default.lease_retry_s),
            checkpoint_period_s=read.seconds("CHECKPOINT_PERIOD_S", default.checkpoint_period_s),
            checkpoint_before_acts_s=read.seconds("CHECKPOINT_BEFORE_ACTS_S", default.checkpoint_before_acts_s),
            tick_s=read.seconds("TICK_S", default.tick_s),
            fast_tick_s=read.seconds("FAST_TICK_S", default.fast_tick_s),
            exported_workloads=read.whole("EXPORTED_WORKLOADS", default.exported_workloads, least=0, most=100_000),
            stale_after_s=read.seconds("STALE_AFTER_S", default.stale_after_s),
            model_threads=read.whole("MODEL_THREADS", default.model_threads, least=1, most=256),
            models_folder=read.path("MODELS_FOLDER"),
            outlook=read.one_of("OUTLOOK", default.outlook, _OUTLOOKS).lower(),
            zone_shift=read.flag("ZONE_SHIFT", default.zone_shift),
            weights=read.flag("WEIGHTS", default.weights),
            scale_resources=read.resources("SCALE_RESOURCES"),
            log_level=read.one_of("LOG_LEVEL", default.log_level, _LEVELS),
            seed=read.whole("SEED", default.seed, least=0, most=2**31),
        )
        _check(settings)
        return settings


@dataclass(frozen=True, slots=True)
class _Reader:
    environment: Mapping[str, str]

    def optional(self, name: str) -> str | None:
        return self.environment.get(f"FORESAIL_{name}", "").strip() or None

    def text(self, name: str, default: str) -> str:
        return self.optional(name) or default

    def names(self, name: str) -> tuple[str, ...]:
        found = (part.strip() for part in (self.optional(name) or "").split(","))
        return tuple(sorted({part for part in found if part}))

    def resources(self, name: str) -> tuple[tuple[str, str], ...]:
        """apiVersion and plural of each."""
        found = []
        for part in self.names(name):
            api_version, _, plural = part.rpartition("/")
            if not api_version or not plural:
                raise _wrong(name, part, "apiVersion/plural, like argoproj.io/v1alpha1/rollouts")
            found.append((api_version, plural))
        return tuple(found)

    def path(self, name: str) -> Path | None:
        value = self.optional(name)
        return None if value is None else Path(value)

    def url(self, name: str) -> str | None:
        value = self.optional(name)
        if value is not None and not value.startswith(("http://", "https://")):
            raise _wrong(name, value, "an http:// or https:// address")
        return value

    def one_of(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, default).upper()
        if value not in allowed:
            raise _wrong(name, value, f"one of {', '.join(allowed)}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.optional(name)
        if value is None:
            return default
        if value.lower() not in _TRUE | _FALSE:
            raise _wrong(name, value, "true or false")
        return value.lower() in _TRUE

    def seconds(self, name: str, default: float) -> float:
        value = self.optional(name)
        if value is None:
            return default
        try:
            seconds = float(value)
        except ValueError:
            seconds = float("nan")
        if not 0.0 < seconds < float("inf"):
            raise _wrong(name, value, "a number of seconds above 0")
        return seconds

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        value = self.optional(name)
        if value is None:
            return default
        number = int(value) if value.isdecimal() else -1
        if not least <= number <= most:
            raise _wrong(name, value, f"a whole number from {least} to {most}")
        return number


def _check(settings: Settings) -> None:
    """Timings that would make the lease no protection at all."""
    if settings.lease_renew_deadline_s >= settings.lease_duration_s:
        raise _wrong(
            "LEASE_RENEW_DEADLINE_S",
            f"{settings.lease_renew_deadline_s:g}",
            f"less than FORESAIL_LEASE_DURATION_S, {settings.lease_duration_s:g}",
        )
    if 2.0 * settings.lease_retry_s > settings.lease_renew_deadline_s:
        raise _wrong(
            "LEASE_RETRY_S",
            f"{settings.lease_retry_s:g}",
            f"at most half of FORESAIL_LEASE_RENEW_DEADLINE_S, {settings.lease_renew_deadline_s:g}",
        )
    # A write needs this much lease time left; with more than this there would be no moment to write in.
    if settings.api_timeout_s >= settings.lease_duration_s - settings.lease_retry_s:
        raise _wrong(
            "API_TIMEOUT_S",
            f"{settings.api_timeout_s:g}",
            "less than FORESAIL_LEASE_DURATION_S - FORESAIL_LEASE_RETRY_S, "
            f"{settings.lease_duration_s - settings.lease_retry_s:g}",
        )
    if settings.fast_tick_s > settings.tick_s:
        raise _wrong("FAST_TICK_S", f"{settings.fast_tick_s:g}", f"at most FORESAIL_TICK_S, {settings.tick_s:g}")


def _wrong(name: str, value: str, wanted: str) -> SettingsInvalid:
    return SettingsInvalid(f"FORESAIL_{name} is {value!r}, but must be {wanted}")
