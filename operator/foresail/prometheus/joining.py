"""Rows of an answer → workloads, by the labels they carry and what the API server says about pods and services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from foresail.prometheus.answers import Labels
from foresail.prometheus.expressions import GROUP, TAG
from foresail.prometheus.groups import group_of
from foresail.prometheus.settings import Reading
from foresail.prometheus.watched import PodIndex, Preset, Watched


class Joiner:
    """Built once per change of workloads or pods; answers None where a row belongs to nobody, or to several."""

    def __init__(self, watched: Iterable[Watched], index: PodIndex, reading: Reading) -> None:
        self._namespace_label, self._pod_label = reading.namespace_label, reading.pod_label
        self.index = index
        self.watched = {one.workload: one for one in watched}
        self._groups = _groups(self.watched, index)
        self._services = _services(self.watched, index)
        self._backends = _backends(self._services)
        self._upstreams = _upstreams(self.watched, self._services)

    def tag(self, labels: Labels) -> tuple[str, str]:
        """Preset and figure of a row; both "" where it has no such tag."""
        preset, _, figure = labels.get(TAG, "").partition("/")
        return preset, figure

    def workload(self, labels: Labels) -> str | None:
        """The watched workload that a row of a preset is about."""
        preset, figure = self.tag(labels)
        found = self._found(preset, figure, labels)
        return found if found is not None and self.watched[found].preset == preset else None

    def pod(self, labels: Labels) -> str | None:
        """Key of a living pod of a watched workload."""
        name = f"{labels.get(self._namespace_label, '')}/{labels.get(self._pod_label, '')}"
        facts = self.index.pods.get(name)
        return name if facts is not None and facts.workload in self.watched else None

    def owner(self, labels: Labels) -> str | None:
        """The workload of a row of a user's expression, by whatever label names one."""
        namespace = labels.get(self._namespace_label, "")
        if "workload" in labels:
            return self._known(f"{namespace}/{labels['workload']}")
        if self._pod_label in labels:
            return self._of_pod(namespace, labels[self._pod_label])
        if "service" in labels:
            return self._services.get(f"{namespace}/{labels['service']}")
        return None

    def names_nobody(self, labels: Labels) -> bool:
        """Whether a row of a user's expression has no label by which it could be joined."""
        return not {"workload", "service", self._pod_label} & labels.keys()

    def pod_of_claim(self, namespace: str, claim: str) -> str | None:
        """The pod that a StatefulSet made a claim for: such claims are named "template-pod"."""
        at = claim.find("-")
        while at >= 0:
            name = f"{namespace}/{claim[at + 1 :]}"
            if name in self.index.pods:
                return name
            at = claim.find("-", at + 1)
        return None

    def _found(self, preset: str, figure: str, labels: Labels) -> str | None:
        namespace = labels.get(self._namespace_label, "")
        if figure in ("called", "again"):
            return self._upstreams.get(f"{namespace}/{labels.get('upstream', '')}")
        if preset == Preset.OTEL_HTTP:
            return self._groups.get(f"{namespace}/{labels.get(GROUP, '')}")
        if preset == Preset.ISTIO:
            return self._known(f"{labels.get('destination_workload_namespace')}/{labels.get('destination_workload')}")
        if preset == Preset.NGINX_INGRESS:
            return self._services.get(f"{labels.get('namespace')}/{labels.get('service')}")
        if preset == Preset.TRAEFIK:
            backend, _, _ = labels.get("service", "").partition("@")
            return self._backends.get(backend.rpartition("-")[0])
        return None

    def _of_pod(self, namespace: str, pod: str) -> str | None:
        facts = self.index.pods.get(f"{namespace}/{pod}")
        if facts is None:
            return self._groups.get(f"{namespace}/{group_of(pod)}")
        return self._known(facts.workload)

    def _known(self, workload: str) -> str | None:
        return workload if workload in self.watched else None


def _groups(watched: Mapping[str, Watched], index: PodIndex) -> dict[str, str]:
    """The group of every living pod, and a workload's own name where no pod claims it."""
    claims = [
        (f"{namespace}/{group_of(pod)}", facts.workload)
        for (namespace, _, pod), facts in ((key.partition("/"), facts) for key, facts in index.pods.items())
    ]
    unclaimed = watched.keys() - {group for group, _ in claims}
    groups = {**{name: name for name in unclaimed}, **_only_one(claims)}
    return {group: workload for group, workload in groups.items() if workload in watched}


def _services(watched: Mapping[str, Watched], index: PodIndex) -> dict[str, str]:
    """A service that nobody selects pods with is taken for the workload of its name."""
    services = {key: index.workload_by_service.get(key, key) for key in (*watched, *index.workload_by_service)}
    return {service: workload for service, workload in services.items() if workload in watched}


def _backends(services: Mapping[str, str]) -> dict[str, str]:
    """Services as Traefik writes them: a dash where the slash was, so that two may look the same."""
    return _only_one((service.replace("/", "-", 1), workload) for service, workload in services.items())


def _upstreams(watched: Mapping[str, Watched], services: Mapping[str, str]) -> dict[str, str]:
    """What callers call a workload: its service, or the last part of its name, as in "shop-catalog"."""
    by_suffix = _only_one(
        (f"{one.namespace}/{one.name[at + 1 :]}", one.workload)
        for one in watched.values()
        for at, letter in enumerate(one.name)
        if letter == "-"
    )
    return {**by_suffix, **services}


def _only_one(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Names that mean one workload only."""
    found: dict[str, str] = {}
    unclear: set[str] = set()
    for name, workload in pairs:
        if found.setdefault(name, workload) != workload:
            unclear.add(name)
    return {name: workload for name, workload in found.items() if name not in unclear}
