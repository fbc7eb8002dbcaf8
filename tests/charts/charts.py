"""Where the charts are, and how they are rendered. Rendering needs helm, which `make charts` builds."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from chaos.clusters.clients import helm_program
from chaos.clusters.folders import ClusterFolders, cache_folder

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "charts"
FORESAIL, SHOP = CHARTS / "foresail", CHARTS / "demo-shop"

HELM = helm_program(ClusterFolders(cache_folder(os.environ)), os.environ)

# libyaml's where it is there: rendered charts are long.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

needs_helm = pytest.mark.skipif(
    not HELM.exists() and os.environ.get("CI") != "true", reason="helm is not built here; `make charts` builds it"
)

APIS = ("monitoring.coreos.com/v1", "foresail.dev/v1alpha1")

#: Every profile of values that `make charts` renders: name → chart, files of values, APIs of the cluster.
PROFILES: Mapping[str, tuple[Path, tuple[str, ...], tuple[str, ...]]] = {
    "foresail": (FORESAIL, (), ()),
    "foresail-everything": (FORESAIL, ("ci/everything.yaml",), APIS),
    "foresail-least": (FORESAIL, ("ci/least.yaml",), APIS),
    "shop": (SHOP, (), ()),
    "shop-tiny": (SHOP, ("values-tiny.yaml",), APIS),
    "shop-tiny-enforce": (SHOP, ("values-tiny.yaml", "ci/enforce.yaml"), APIS),
    "shop-full": (SHOP, ("values-full.yaml",), APIS),
    "shop-full-least": (SHOP, ("values-full.yaml", "ci/least.yaml"), ()),
}

Manifest = dict[str, Any]


@functools.cache
def manifests(profile: str) -> list[Manifest]:
    """What helm makes of a profile, as release "it" in the namespace "here". Shared by all tests: not to be changed."""
    chart, files, apis = PROFILES[profile]
    done = helm(chart, *[f"--values={chart / file}" for file in files], *[f"--api-versions={api}" for api in apis])
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.load_all(done.stdout, Loader=_LOADER) if document]


def helm(chart: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(HELM), "template", "it", str(chart), "--namespace=here", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def of_kind(rendered: list[Manifest], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in rendered if manifest["kind"] in kinds]


def named(rendered: list[Manifest], kind: str, name: str) -> Manifest:
    return next(m for m in rendered if m["kind"] == kind and m["metadata"]["name"] == name)


def pod_templates(rendered: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """(kind/name, pod template) of everything that makes pods."""
    for manifest in rendered:
        label, spec = f"{manifest['kind']}/{manifest['metadata']['name']}", manifest.get("spec", {})
        if manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield label, spec["template"]
        elif manifest["kind"] == "CronJob":
            yield label, spec["jobTemplate"]["spec"]["template"]
        elif manifest["kind"] == "Pod":
            yield label, manifest


def values_of(profile: str) -> Manifest:
    """The chart's values with a profile's laid over them, as helm merges them."""
    chart, files, _ = PROFILES[profile]
    merged = read(chart / "values.yaml")
    for file in files:
        merged = _merged(merged, read(chart / file))
    return merged


def read(file: Path) -> Any:
    text = file.read_text(encoding="utf-8")
    return json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)


def script(path: Path) -> ModuleType:
    """A script of the charts, which are no package, as a module."""
    name = f"charts_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def _merged(low: Manifest, high: Manifest) -> Manifest:
    both = dict(low)
    for key, value in high.items():
        below = both.get(key)
        both[key] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return both
