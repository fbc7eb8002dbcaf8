"""A topology while measured values are put into it."""

from __future__ import annotations

from typing import Any

from simulation.topology import Topology


class Draft:
    """`topology` is always whole and valid; every change raises `ValidationError` when it would not be."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology

    def set_share(self, name: str, share: float) -> None:
        self._replace("classes", name, {"share": share})

    def scale_work(self, service: str, factor: float) -> None:
        """All operations of a service take so many times as much CPU."""
        for operation in self.topology.operations:
            if operation.name.partition(".")[0] == service:
                self._replace("operations", operation.name, {"cpu_ms": operation.cpu_ms * factor})

    def set_wait(self, operation: str, wait_ms: float) -> None:
        self._replace("operations", operation, {"wait_ms": wait_ms})

    def set_service(self, name: str, **fields: Any) -> None:
        self._replace("services", name, fields)

    def set_startup(self, service: str, **fields: float) -> None:
        startup = self.topology.service(service).startup.model_dump(exclude_unset=True)
        self.set_service(service, startup={**startup, **fields})

    def _replace(self, part: str, name: str, fields: dict[str, Any]) -> None:
        raw = self.topology.model_dump(mode="json", exclude_unset=True)
        raw[part] = [{**one, **fields} if one["name"] == name else one for one in raw[part]]
        self.topology = Topology.model_validate(raw)
