"""Where onboarding reads from: the API server, or files as `helm template` and `kustomize build` write them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from foresail.actuators import paths
from foresail.actuators.api import Json
from foresail.objects.api_reading import ApiReading
from foresail.objects.errors import NotServed, ObjectsError, Refused
from foresail.objects.fields import entries, text
from foresail.onboarding.awaited_pods import with_awaited_pods
from foresail.onboarding.snapshot import KINDS, Snapshot, snapshot
from foresail.resources.crd import API_VERSION, KIND, PLURAL

_POLICIES: paths.Kind = (API_VERSION, PLURAL)
#: What a cluster may lack, or not let everybody read; without them less is known and nothing wrong.
_OPTIONAL = (paths.SCALED_OBJECTS, paths.CLAIMS, paths.REPLICA_SETS)


class SourceUnreadable(Exception):
    """Nothing can be checked: the message says which file or which kind of object, and why."""


@dataclass(frozen=True, slots=True)
class Source:
    """Objects, and the ResiliencePolicies among them."""

    held: Snapshot
    policies: tuple[Json, ...]


def from_manifests(texts: Iterable[tuple[str, str]], namespace: str) -> Source:
    """Of YAML texts with the names of their files. `namespace`: of objects that name none.

    Raises `SourceUnreadable`.
    """
    found = [item for name, content in texts for item in _documents(name, content)]
    policies = tuple(_placed(item, namespace) for item in found if item.get("kind") == KIND)
    return Source(with_awaited_pods(snapshot(found, live=False, namespace=namespace)), policies)


def from_cluster(reading: ApiReading, namespace: str | None) -> Source:
    """Of one namespace, or of all that have a policy. Raises `SourceUnreadable`."""
    policies = tuple(_listed(reading, _POLICIES, KIND, namespace, optional=True))
    namespaces = sorted({item["metadata"]["namespace"] for item in policies} | ({namespace} if namespace else set()))
    objects = [
        item
        for (_, name), kind in KINDS.items()
        for place in namespaces
        for item in _listed(reading, kind, name, place, optional=kind in _OPTIONAL)
    ]
    return Source(snapshot(objects, live=True), policies)


def policies_in(content: str, name: str, namespace: str) -> tuple[Json, ...]:
    """The ResiliencePolicies of a file. Raises `SourceUnreadable` where there is none."""
    found = tuple(_placed(item, namespace) for item in _documents(name, content) if item.get("kind") == KIND)
    if not found:
        raise SourceUnreadable(f"{name}: it holds no {KIND}")
    return found


def _placed(policy: Json, namespace: str) -> Json:
    meta = policy.get("metadata")
    if not isinstance(meta, dict) or meta.get("namespace"):
        return policy
    return {**policy, "metadata": {**meta, "namespace": namespace}}


def _documents(name: str, content: str) -> Iterator[Json]:
    try:
        documents: Sequence[Any] = list(yaml.safe_load_all(content))
    except yaml.YAMLError as error:
        raise SourceUnreadable(f"{name}: it is no YAML: {error}") from error
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            raise SourceUnreadable(f"{name}: it holds something that is no Kubernetes object")
        listed = entries(document, "items") if (text(document, "kind") or "").endswith("List") else (document,)
        yield from (dict(item) for item in listed)


def _listed(reading: ApiReading, kind: paths.Kind, name: str, namespace: str | None, optional: bool) -> Iterator[Json]:
    """Objects of a list do not say what they are; here they do."""
    path = paths.path(kind, namespace)
    try:
        for page in reading.pages(path):
            for item in page.items:
                yield {**item, "apiVersion": kind[0], "kind": name}
    except NotServed:
        if not optional:
            raise SourceUnreadable(f"{path}: the cluster knows no such kind") from None
    except Refused as error:
        if not optional:
            raise SourceUnreadable(f"you may not read {kind[1]} there: {error}") from error
    except ObjectsError as error:
        raise SourceUnreadable(str(error)) from error
