"""Faults of the shop's stores."""

from __future__ import annotations

from chaos.experiments.injecting.injector import Injection
from chaos.experiments.problems import VerbFailed


class PrimaryLoss(Injection):
    """The pod that takes writes is killed once. Its StatefulSet makes it again; Patroni decides who leads then."""

    def inject(self, now_s: float) -> None:
        assert self.fault.service is not None
        databases = self.stage.verbs.databases
        primary = None if databases is None else databases.primary(self.fault.service)
        if primary is None:
            raise VerbFailed(f"{self.fault.service} has no primary that could be killed")
        self.stage.verbs.pods.kill(primary)
        self.hit(primary)
