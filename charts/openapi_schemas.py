"""JSON schemas for kubeconform out of a Kubernetes release's own OpenAPI description, without a network.

    python charts/openapi_schemas.py API_OPENAPI_SPEC_V3_FOLDER OUT_FOLDER

The folder is `api/openapi-spec/v3` of the Kubernetes sources. Written are OUT_FOLDER/kind-group-version.json, strict:
a field that the API server does not know is refused, where the server itself would only drop it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_REFERENCE = "#/components/schemas/"


def schemas_of(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Self-contained schemas by "kind-group-version", which kubeconform calls `{{.ResourceKind}}{{.KindSuffix}}`."""
    components = description.get("components", {}).get("schemas", {})
    definitions = {name: _plain(component) for name, component in components.items()}
    found = {}
    for name, component in components.items():
        for kind in component.get("x-kubernetes-group-version-kind", []):
            group = kind["group"].split(".")[0]
            suffix = f"-{group}-{kind['version']}" if group else f"-{kind['version']}"
            found[f"{kind['kind'].lower()}{suffix}"] = {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "definitions": definitions,
                "$ref": f"#/definitions/{name}",
            }
    return found


def _plain(value: Any) -> Any:
    """One OpenAPI schema as JSON schema: references moved, null allowed where the server takes it, objects closed."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("x-kubernetes-int-or-string") or value.get("format") == "int-or-string":
        return {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    kept = {key: item for key, item in value.items() if not key.startswith("x-") and key not in ("default", "nullable")}
    plain = {key: _reference(item) if key == "$ref" else _plain(item) for key, item in kept.items()}
    if plain.get("type") == "object" and "properties" in plain and "additionalProperties" not in plain:
        plain["additionalProperties"] = False
    return plain


def _reference(target: str) -> str:
    return target.replace(_REFERENCE, "#/definitions/")


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    source, out = Path(arguments[0]), Path(arguments[1])
    files = sorted(source.glob("*__v*_openapi.json"))
    if not files:
        sys.stderr.write(f"openapi_schemas: {source} holds no *__v*_openapi.json; give api/openapi-spec/v3\n")
        return 1
    out.mkdir(parents=True, exist_ok=True)
    for file in files:
        for name, schema in schemas_of(json.loads(file.read_text(encoding="utf-8"))).items():
            (out / f"{name}.json").write_text(json.dumps(schema), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
