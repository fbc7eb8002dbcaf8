"""Schema and seed, brought in by a process of their own beside the start of the roles."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from demo_shop.local.ground import Ground
from demo_shop.local.leftovers import MARKER


class Filling:
    """`demo_shop.stores.migrate` at work on the stores; the shop can open once the catalogue is in."""

    def __init__(self, ground: Ground, reach: Mapping[str, str], products: int) -> None:
        """Starts it; no products: the schema only."""
        self._log = ground.logs / "migrate.log"
        self._stages = ground.logs / "migrate.stages"
        self._opens_at = "catalogue" if products else "schema"
        command = [sys.executable, "-m", "demo_shop.stores.migrate"]
        if products:
            command += ["--seed", "--products", str(products)]
        with open(self._stages, "wb") as stages, open(self._log, "ab") as log:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **reach, MARKER: ground.marker},
                stdin=subprocess.DEVNULL,
                stdout=stages,
                stderr=log,
                start_new_session=True,
            )

    def has_schema(self) -> bool:
        """True as well when it failed: then there is nothing to wait for."""
        return self._has_reached("schema")

    def can_open(self) -> bool:
        """Whether there is something to sell, or it failed."""
        return self._has_reached(self._opens_at)

    def is_complete(self) -> bool:
        return self.process.poll() == 0

    def _has_reached(self, stage: str) -> bool:
        return stage in self._stages.read_text(encoding="utf-8").split() or self.process.poll() is not None

    def failure(self) -> str | None:
        """Why it gave up, if it did."""
        if self.process.poll() in (None, 0):
            return None
        return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
