"""How Prometheus is reached and read. Every field has its unit, its default and the reason for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from forecasting.features import LONGEST_CONTEXT

DEMAND_STEP_S = 15.0
SIGNAL_STEP_S = 60.0
#: Native points of the forecaster's finest resolution: two hours and eight minutes.
NATIVE_POINTS = 512


class PrometheusSettingsInvalid(ValueError):
    """A setting means nothing. Permanent: the text names it and the fix."""


@dataclass(frozen=True, slots=True)
class Connection:
    """Where Prometheus is and how it knows us. Files are read again for every query: tokens are rotated."""

    url: str
    timeout_s: float = 5.0  # of one query, from the first byte out to the last byte in
    method: Literal["GET", "POST"] = "POST"  # GET where a proxy lets nothing else through
    bearer_token_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None  # None: the system's
    cert_file: Path | None = None
    key_file: Path | None = None
    verify_tls: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)  # such as X-Scope-OrgID
    largest_answer_bytes: int = 32 * 2**20  # parsed it takes ten times as much memory
    clock_skew_s: float = 30.0  # between the server's Date and ours; a tick is 15 s

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise PrometheusSettingsInvalid(f"url is {self.url!r}: write it with http:// or https://")
        if self.timeout_s <= 0.0:
            raise PrometheusSettingsInvalid(f"timeout_s is {self.timeout_s:g}: give queries more than 0 seconds")
        if self.bearer_token_file is not None and self.username is not None:
            raise PrometheusSettingsInvalid("bearer_token_file and username are both set: keep one of them")
        if (self.username is None) != (self.password_file is None):
            raise PrometheusSettingsInvalid("username and password_file belong together: set both or none")
        if self.key_file is not None and self.cert_file is None:
            raise PrometheusSettingsInvalid("key_file is set without cert_file: set both or none")


@dataclass(frozen=True, slots=True)
class Reading:
    """How series are selected, and how much of them is kept."""

    namespace_label: str = "namespace"
    pod_label: str = "pod"
    extra_matchers: str = ""  # such as 'cluster="eu-1"', for stores that hold several clusters
    rate_window_s: float | None = None  # None: two scrape intervals, so that one lost scrape is a gap
    scrape_interval_s: float = 15.0  # until it is measured
    stale_after_s: float = 120.0  # an older gauge is unknown; two scrapes at 60 s
    settle_s: float = 3.0  # how long a scrape may take to become visible; a step is asked for no earlier
    # Waiting for all series of all namespaces is better than more queries than this.
    longest_selector: int = 32_000  # characters, in the body of a POST
    longest_selector_get: int = 600  # characters; addresses of 8 KiB are common limits
    most_parts: int = 2  # a selector that needs more is dropped, and all namespaces are read
    tick_budget_s: float = 8.0  # of a tick of 15 s, for all queries together
    demand_points: int = LONGEST_CONTEXT  # × 15 s: what the forecaster's coarse resolution reaches back to
    signal_points: int = 120  # × 60 s: what the policies were tuned with
    largest_fill: int = 100_000  # samples of one range query; as JSON objects they take 300 times as many bytes
    fills_per_tick: int = 2  # range queries that fill older history, or gaps, beside a tick's own queries
    replication_lag_limit_s: float = 20.0  # a standby further behind loses too much in a failover
    rejected_ratio: float = 0.02  # of offered demand, from which on it counts as censored
    least_coverage: float = 0.5  # share of a workload's reporting pods below which its sums are unknown

    def __post_init__(self) -> None:
        if self.rate_window_s is not None and self.rate_window_s < DEMAND_STEP_S:
            raise PrometheusSettingsInvalid(
                f"rate_window_s is {self.rate_window_s:g}: make it two scrape intervals, at least {DEMAND_STEP_S:g}"
            )
        for name in ("demand_points", "signal_points", "largest_fill", "most_parts"):
            if getattr(self, name) < 1:
                raise PrometheusSettingsInvalid(f"{name} is {getattr(self, name)}: make it at least 1")
        if "{" in self.extra_matchers or "}" in self.extra_matchers:
            raise PrometheusSettingsInvalid("extra_matchers has braces: write only what stands between them")

    @property
    def window_s(self) -> float:
        """Of the rates of what pods count themselves."""
        return self.rate_window_s or max(DEMAND_STEP_S, 2.0 * self.scrape_interval_s)

    @property
    def container_window_s(self) -> float:
        """Of the rates of containers: cAdvisor looks every 10 to 15 s, between the scrapes."""
        return max(60.0, 2.0 * self.scrape_interval_s + 30.0)
