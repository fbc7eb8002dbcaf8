"""KEDA's own manifests (its `config/minimal`), made fit for a test cluster: our image, and no right that the arm of an
experiment does not use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

NAMESPACE = "keda"
API_SERVICE = "v1beta1.external.metrics.k8s.io"
OPERATOR, ADAPTER = "keda-operator", "keda-metrics-apiserver"

#: On all that is installed: by this it is found again and taken away, and told from a KEDA of the cluster's owner.
MARK = ("app.kubernetes.io/managed-by", "foresail-experiments")

_PROGRAM_OF = {OPERATOR: "/usr/local/bin/keda", ADAPTER: "/usr/local/bin/keda-adapter"}
_FLAGS_OF = {OPERATOR: ["--enable-webhook-patching=false"], ADAPTER: []}
#: Triggers of the arm need no credentials, so the shop's Secrets are none of KEDA's business.
_SETTINGS = [{"name": "KEDA_RESTRICT_SECRET_ACCESS", "value": "true"}]
#: For people who use ScaledObjects without being administrators.
_FOR_PEOPLE = ("keda:edit", "keda:view")
_OPERATOR_ROLE, _METRICS_ROLE = "keda-operator", "keda-external-metrics-reader"

Manifest = Mapping[str, Any]


def installable(upstream: Iterable[Manifest], image: str) -> list[dict[str, Any]]:
    """All but the adapter's Deployment is to be applied first: see `KedaInstallation`."""
    return [_marked(_fit(one, image)) for one in upstream if one["metadata"]["name"] not in _FOR_PEOPLE]


def is_adapter(manifest: Manifest) -> bool:
    return (manifest["kind"], manifest["metadata"]["name"]) == ("Deployment", ADAPTER)


def _fit(one: Manifest, image: str) -> dict[str, Any]:
    name = one["metadata"]["name"]
    if one["kind"] == "Deployment":
        return {**one, "spec": _deployment_spec(one["spec"], name, image)}
    if one["kind"] == "ClusterRole" and name == _OPERATOR_ROLE:
        narrowed = (_narrowed(rule) for rule in one["rules"])
        return {**one, "rules": [rule for rule in narrowed if rule["resources"]]}
    if one["kind"] == "ClusterRole" and name == _METRICS_ROLE:
        return {**one, "rules": [{**rule, "verbs": ["get", "list"]} for rule in one["rules"]]}
    return dict(one)


def _deployment_spec(spec: Manifest, name: str, image: str) -> dict[str, Any]:
    template = spec["template"]
    [container] = template["spec"]["containers"]
    ours = {
        **container,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [_PROGRAM_OF[name]],
        "args": [*container["args"], *_FLAGS_OF[name]],
        "env": [*container["env"], *_SETTINGS],
    }
    return {**spec, "template": {**template, "spec": {**template["spec"], "containers": [ours]}}}


def _narrowed(rule: Manifest) -> dict[str, Any]:
    """KEDA can scale anything that has a scale; here Deployments are scaled, and no webhooks are installed."""
    groups, resources = rule["apiGroups"], rule["resources"]
    if groups == ["*"]:
        here = {"*": "deployments", "*/scale": "deployments/scale"}
        return {**rule, "apiGroups": ["apps"], "resources": [here[resource] for resource in resources]}
    unused = {"secrets", "validatingwebhookconfigurations"}
    return {**rule, "resources": [resource for resource in resources if resource not in unused]}


def _marked(one: Manifest) -> dict[str, Any]:
    key, value = MARK
    metadata = one["metadata"]
    return {**one, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), key: value}}}
