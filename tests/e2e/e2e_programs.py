"""kubectl and helm, as people run them, against the test's cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.clusters import clients
from chaos.clusters.processes import Word

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kubectl(clients.Kubectl):
    """With what the tests ask of it again and again."""

    def get(self, namespace: str, kind: str, name: str) -> Any:
        return self.json("get", "-n", namespace, kind, name)

    def items(self, namespace: str, kind: str, selector: str = "") -> list[Any]:
        """Of one namespace; of kinds without namespaces it is ignored."""
        found = self.json("get", "-n", namespace, kind, f"--selector={selector}")["items"]
        assert isinstance(found, list)
        return found

    def apply(self, *manifests: Manifest) -> None:
        """On the server's side, as a manager of our own that takes what it writes."""
        body = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
        self("apply", "--server-side", "--force-conflicts", "--field-manager=e2e", "-f", "-", given=body)

    def patch(self, namespace: str, kind: str, name: str, *operations: Manifest) -> None:
        """A JSON patch."""
        self("patch", "-n", namespace, kind, name, "--type=json", "-p", json.dumps(list(operations)))

    def make_namespace(self, name: str) -> None:
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    @contextmanager
    def spec_changed(self, namespace: str, kind: str, name: str, **fields: Any) -> Iterator[None]:
        """These fields of an object's spec replaced for as long as the block lasts; whole, and back as they were."""
        before = self.get(namespace, kind, name)["spec"]
        self.patch(namespace, kind, name, *(_put(field, value) for field, value in fields.items()))
        try:
            yield
        finally:
            back = (_put(field, before[field]) if field in before else _take(field) for field in fields)
            self.patch(namespace, kind, name, *back)


@dataclass(frozen=True, slots=True)
class Helm(clients.Helm):
    """With what the tests ask of it again and again."""

    def install(self, release: str, chart: Path, namespace: str, options: Sequence[Word] = ()) -> None:
        """Installed, or upgraded to this; returns when all of it is ready."""
        self("upgrade", "--install", release, chart, "-n", namespace, "--wait", "--timeout=8m", *options)

    def releases(self, namespace: str) -> set[str]:
        return {found["name"] for found in json.loads(self("list", "-n", namespace, "-o", "json"))}


def _put(field: str, value: Any) -> Manifest:
    return {"op": "add", "path": f"/spec/{field}", "value": value}


def _take(field: str) -> Manifest:
    return {"op": "remove", "path": f"/spec/{field}"}
