"""Manifests handed to a cluster, and how long it may take until what they describe is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

READY_LIMIT = "8m"


def apply(kubectl: Callable[..., str], manifests: Iterable[Mapping[str, Any]]) -> None:
    """In one request of kubectl's, which overrules whoever else wrote these fields. Raises `ClusterFailed`."""
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=body)
