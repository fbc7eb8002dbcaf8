"""What the sending process needs to know, in a file that it reads. It knows nothing of scenarios: its memory counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaos.load.catalogue import Catalogue
from chaos.load.visitor import Patience


@dataclass(frozen=True, slots=True)
class Job:
    """One run. `visits` are drawn already; with `probe_hz` None there is no probe."""

    url: str
    allowed_hosts: tuple[str, ...]
    run_id: str
    visits: Path
    records: Path
    probe_records: Path
    ledger: Path
    duration_s: float
    catalogue: Catalogue
    probe_hz: float | None
    probe_products: tuple[int, ...]
    patience: Patience
    most_in_flight: int
    connection_lifetime_s: float

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), default=str, indent=1), encoding="utf-8")

    @staticmethod
    def read(path: Path) -> Job:
        raw: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        goods = raw["catalogue"]
        catalogue = Catalogue(
            int(goods["products"]), tuple(goods["popular"]), tuple(goods["categories"]), tuple(goods["words"])
        )
        return Job(
            **{
                **raw,
                "allowed_hosts": tuple(raw["allowed_hosts"]),
                "probe_products": tuple(raw["probe_products"]),
                "catalogue": catalogue,
                "patience": Patience(**raw["patience"]),
                **{name: Path(raw[name]) for name in ("visits", "records", "probe_records", "ledger")},
            }
        )
