"""Which Services a pod's labels put it into, and whether one of them would be harmed if it left."""

from __future__ import annotations

from collections.abc import Sequence

from foresail.actuators import marks, paths
from foresail.actuators.api import Json, Reader
from foresail.actuators.patching import ABSENT, find, label
from foresail.actuators.refusals import ActRefused, RefusalReason


def check_leaving(api: Reader, pods: Sequence[Json], namespace: str) -> None:
    """Raises unless taking the label off `pods` takes them out of Services, harms no name, and empties none.

    The label fails open: a Service that does not select by it keeps the pod, and then nothing would happen.
    """
    services = api.items(paths.path(paths.SERVICES, namespace))
    listening = [service for service in services if marks.TRAFFIC_LABEL in _selector(service)]
    chosen = [service for service in listening if any(selects(service, pod) for pod in pods)]
    names = ", ".join(pod["metadata"]["name"] for pod in pods[:3])
    if pods and not chosen:
        detail = (
            f"{namespace}/{names}: no Service that selects it has {marks.TRAFFIC_LABEL}: on in its selector; "
            "run `foresail onboard`"
        )
        raise ActRefused(RefusalReason.NO_SERVICE_LISTENS, detail)
    governing = _governing(api, namespace, pods)
    leaving = {pod["metadata"]["name"] for pod in pods}
    for service in chosen:
        name = service["metadata"]["name"]
        if name in governing:
            detail = f"Service {namespace}/{name} gives the pods of a StatefulSet their names: take the label out of it"
            raise ActRefused(RefusalReason.GOVERNING_SERVICE, detail)
        chooses = ",".join(f"{key}={value}" for key, value in sorted(_selector(service).items()))
        behind = api.items(paths.path(paths.PODS, namespace), chooses)
        if not any(is_ready(pod) for pod in behind if pod["metadata"]["name"] not in leaving):
            detail = f"Service {namespace}/{name} would have no Ready endpoint left"
            raise ActRefused(RefusalReason.LAST_ENDPOINT, detail)


def check_hash_unselected(api: Reader, namespace: str, template_hash_label: str) -> None:
    """Raises where a Service selects by the very label that detaching changes."""
    for service in api.items(paths.path(paths.SERVICES, namespace)):
        if template_hash_label in _selector(service):
            detail = f"Service {namespace}/{service['metadata']['name']} selects by {template_hash_label}"
            raise ActRefused(RefusalReason.HASH_SELECTED, detail)


def is_ready(pod: Json) -> bool:
    if is_leaving(pod):
        return False
    conditions = find(pod, "status", "conditions")
    listed = () if conditions is ABSENT else conditions
    return any(entry.get("type") == "Ready" and entry.get("status") == "True" for entry in listed)


def is_leaving(pod: Json) -> bool:
    return find(pod, "metadata", "deletionTimestamp") is not ABSENT


def controller(row: Json) -> Json | None:
    """The owner reference of what controls an object."""
    owners = row["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)


def _selector(service: Json) -> dict[str, str]:
    found = find(service, "spec", "selector")
    return {} if found is ABSENT or found is None else found


def selects(service: Json, pod: Json) -> bool:
    wanted = _selector(service)
    return bool(wanted) and all(label(pod, key) == value for key, value in wanted.items())


def _governing(api: Reader, namespace: str, pods: Sequence[Json]) -> set[str]:
    sets = {owner["name"] for pod in pods if (owner := controller(pod)) is not None and owner["kind"] == "StatefulSet"}
    found = set()
    for name in sorted(sets):
        service = find(api.get(paths.path(paths.STATEFUL_SETS, namespace, name)), "spec", "serviceName")
        if isinstance(service, str) and service:
            found.add(service)
    return found
