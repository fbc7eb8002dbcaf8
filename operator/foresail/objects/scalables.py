"""Workloads of any kind that has a scale subresource, known by what that subresource says of them.

Where a kind keeps its replicas and its selector is its own business: only `/scale` tells it in one way for all.
"""

from __future__ import annotations

from foresail.objects.api_reading import ApiReading
from foresail.objects.errors import NotServed, Refused
from foresail.objects.fields import Json, at, entries, flag, text, whole
from foresail.objects.kinds import Kind
from foresail.objects.parsing import meta
from foresail.objects.pod_template import pod_template
from foresail.objects.records import PodTemplate, WorkloadRecord
from foresail.objects.selectors import parsed_query


class Scalables:
    """Reads the objects of one resource, each with its scale. `resource`: apiVersion and plural."""

    def __init__(self, reading: ApiReading, resource: tuple[str, str]) -> None:
        api_version, plural = resource
        self._reading, self._resource, self._plural = reading, resource, plural
        self._api = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        self._name: str | None = None
        # What is decided about other workloads does not hang on these.
        self.kind = Kind(plural, self._api, self.parse, needed=False, optional=True)

    def parse(self, value: Json) -> WorkloadRecord | None:
        """Raises `ObjectsError` where the scale cannot be read; without one an object is held as switched off."""
        found = meta(value)
        if found is None:
            return None
        try:
            scale = self._reading.object(f"{self.kind.path(found.namespace)}/{found.name}/scale")
        except NotServed:
            scale = {}  # it has just been deleted
        selector = parsed_query(text(scale, "status", "selector") or "")
        template = pod_template(at(value, "spec", "template"))
        if not template.labels and selector is not None:
            template = PodTemplate(labels=selector.pairs)  # by which Services and budgets are joined to it
        pods = whole(scale, "status", "replicas") or 0
        updated = whole(value, "status", "updatedReplicas")
        return WorkloadRecord(
            meta=found,
            kind=self._kind_name(),
            replicas=whole(scale, "spec", "replicas") or 0,  # left out of JSON where it is 0
            selector=selector,
            template=template,
            paused=flag(value, "spec", "paused"),
            observed_generation=whole(value, "status", "observedGeneration"),
            status_replicas=pods,
            updated_replicas=pods if updated is None else updated,
            ready_replicas=whole(value, "status", "readyReplicas") or 0,
            resource=self._resource,
        )

    def _kind_name(self) -> str:
        """As discovery says it; a resource without a scale is refused, since nothing could be done with it."""
        if self._name is None:
            served = {text(entry, "name"): entry for entry in entries(self._reading.object(self._api), "resources")}
            if f"{self._plural}/scale" not in served:
                raise Refused(f"{self._api}/{self._plural} has no scale subresource")
            self._name = text(served.get(self._plural), "kind") or self._plural
        return self._name
