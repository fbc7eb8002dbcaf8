"""The scripts that come with the charts: schemas out of OpenAPI, and what `helm test` finds wrong."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema_rs

from charts import CHARTS, FORESAIL, script

schemas = script(CHARTS / "openapi_schemas.py")
check = script(FORESAIL / "files" / "check_installation.py")

DESCRIPTION = {
    "components": {
        "schemas": {
            "io.k8s.Thing": {
                "type": "object",
                "properties": {
                    "spec": {"allOf": [{"$ref": "#/components/schemas/io.k8s.ThingSpec"}], "default": {}},
                    "port": {"x-kubernetes-int-or-string": True, "type": "string"},
                },
                "x-kubernetes-group-version-kind": [{"group": "things.k8s.io", "version": "v1", "kind": "Thing"}],
            },
            "io.k8s.ThingSpec": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            },
        }
    }
}


def problems(thing: Any) -> int:
    validator = jsonschema_rs.validator_for(schemas.schemas_of(DESCRIPTION)["thing-things-v1"])
    return len(list(validator.iter_errors(thing)))


def test_a_right_object_passes() -> None:
    assert problems({"spec": {"name": "a", "labels": {"any": "thing"}}, "port": 8080}) == 0


def test_an_unknown_field_a_missing_one_and_a_wrong_type_are_found() -> None:
    assert problems({"spec": {"name": "a", "nmae": "b"}}) == 1
    assert problems({"spec": {}}) == 1
    assert problems({"port": []}) == 1


def test_schemas_are_written_as_kubeconform_asks_for_them(tmp_path: Path) -> None:
    tmp_path.joinpath("apis__things.k8s.io__v1_openapi.json").write_text(json.dumps(DESCRIPTION), encoding="utf-8")

    assert schemas.main([str(tmp_path), str(tmp_path / "out")]) == 0

    assert [file.name for file in (tmp_path / "out").iterdir()] == ["thing-things-v1.json"]


def test_a_folder_without_descriptions_is_named(tmp_path: Path, capsys: Any) -> None:
    assert schemas.main([str(tmp_path), str(tmp_path / "out")]) == 1

    assert str(tmp_path) in capsys.readouterr().err


# -- onboarding in the right order ---------------------------------------------------------------------------------

ON = {"app": "web", "foresail.dev/traffic": "on"}


def named(name: str, **labels: str) -> SimpleNamespace:
    return SimpleNamespace(name=name, labels=labels)


def service(**selector: str) -> Any:
    return SimpleNamespace(metadata=named("web"), spec=SimpleNamespace(selector=selector))


def pod(labels: dict[str, str]) -> Any:
    return SimpleNamespace(metadata=SimpleNamespace(name="web-1", labels=labels))


def deployment(template: dict[str, str], selector: dict[str, str] | None = None) -> Any:
    spec = SimpleNamespace(
        selector=SimpleNamespace(match_labels=selector or {"app": "web"}),
        template=SimpleNamespace(metadata=SimpleNamespace(labels=template)),
    )
    return SimpleNamespace(metadata=named("web"), spec=spec)


def test_an_onboarded_workload_has_no_problem() -> None:
    assert list(check.starved_services([service(**ON)], [pod(ON)], [deployment(ON)])) == []


def test_a_workload_that_was_never_onboarded_has_no_problem() -> None:
    assert list(check.starved_services([service(app="web")], [pod({"app": "web"})], [deployment({"app": "web"})])) == []


def test_pods_that_were_drained_are_no_problem() -> None:
    off = {**ON, "foresail.dev/traffic": "off"}

    assert list(check.starved_services([service(**ON)], [pod(off)], [deployment(ON)])) == []


def test_a_service_narrowed_before_its_pods_were_labelled_is_an_outage() -> None:
    found = list(check.starved_services([service(**ON)], [pod({"app": "web"})], [deployment({"app": "web"})]))

    assert "none of its 1 pods carries it" in found[0]
    assert "new pods would lack" in found[1]


def test_the_label_in_a_workload_s_own_selector_is_wrong() -> None:
    found = list(check.starved_services([service(**ON)], [pod(ON)], [deployment(ON, selector=ON)]))

    assert "its own selector has foresail.dev/traffic" in found[0]
