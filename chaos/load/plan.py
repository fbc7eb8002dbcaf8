"""What a load run is to do: made by a command or a benchmark, carried out in a process of its own."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from chaos.load.catalogue import Catalogue
from chaos.load.job import Job
from chaos.load.mix import MIXES, Mix
from chaos.load.probe import ProbePlan
from chaos.load.shapes import LoadShape
from chaos.load.target import Target, checked_target
from chaos.load.visitor import Patience

MOST_ARRIVALS = 1_000_000
LONGEST_S = 86_400.0


class PlanInvalid(Exception):
    """A plan that cannot be carried out; the message names the field and the fix."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """Load on the shop at `url`. The same seed and catalogue send the same requests in the same order.

    `ledger` grows by the run's orders; `out` is a folder that gets everything else. `run_id` makes keys of orders
    unique in the shop's books. Raises `TargetRefused` or `PlanInvalid`.
    """

    url: str
    shape: LoadShape
    out: Path
    ledger: Path
    seed: int = 0
    mix: Mix = field(default_factory=lambda: MIXES["shop"])
    probe: ProbePlan | None = None
    patience: Patience = field(default_factory=Patience)
    allowed_hosts: tuple[str, ...] = ()
    most_in_flight: int = 1000
    connection_lifetime_s: float = 20.0
    slo_latency_s: float | None = None  # None: the scenario's
    run_id: str = field(default_factory=lambda: secrets.token_hex(6))

    def __post_init__(self) -> None:
        checked_target(self.url, self.allowed_hosts)
        if not 0.0 < self.shape.duration_s <= LONGEST_S:
            raise PlanInvalid(f"duration {self.shape.duration_s:g} s: at most a day; use --faster for longer scenarios")
        if self.most_in_flight < 1:
            raise PlanInvalid(f"most_in_flight {self.most_in_flight}: at least 1")
        if self.probe is not None and not 0.0 < self.probe.rate_hz <= 100.0:
            raise PlanInvalid(f"probe rate {self.probe.rate_hz:g} Hz: between 0 and 100")

    @property
    def target(self) -> Target:
        return checked_target(self.url, self.allowed_hosts)

    @property
    def slo_s(self) -> float:
        return self.shape.scenario.slo.latency_s if self.slo_latency_s is None else self.slo_latency_s

    @property
    def records(self) -> Path:
        return self.out / "requests.csv"

    @property
    def probe_records(self) -> Path:
        return self.out / "probe.csv"


def job_of(plan: LoadPlan, catalogue: Catalogue, visits: Path) -> Job:
    """The job of a plan against a shop that sells this."""
    probe = plan.probe
    return Job(
        url=plan.target.url,
        allowed_hosts=plan.allowed_hosts,
        run_id=plan.run_id,
        visits=visits,
        records=plan.records,
        probe_records=plan.probe_records,
        ledger=plan.ledger,
        duration_s=plan.shape.duration_s,
        catalogue=catalogue,
        probe_hz=None if probe is None else probe.rate_hz,
        probe_products=() if probe is None else probe.products or (catalogue.products,),
        patience=plan.patience,
        most_in_flight=plan.most_in_flight,
        connection_lifetime_s=plan.connection_lifetime_s,
    )
