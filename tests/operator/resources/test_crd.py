"""The definition: structural, complete, and the same as in the chart."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from crd_admission import admitted, as_cel, with_defaults
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from policies_as_written import body, policy
from typer.testing import CliRunner

from foresail.cli import app
from foresail.resources.crd import crd, crd_yaml
from foresail.resources.policy_resource import read_policy
from foresail.resources.status import ConditionType, Status
from foresail.resources.structural import SchemaNotStructural, structural_schema

#: The same examples in every run and no time limit: this machine may be busy.
REPEATABLE = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)

CHART = Path(__file__).parents[3] / "charts" / "foresail" / "files" / "crd.yaml"
SCHEMA = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]


def nodes(schema, path="spec"):
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


def test_the_chart_holds_the_generated_definition():
    assert CHART.read_text(encoding="utf-8") == crd_yaml(), (
        "generate it again: foresail crd > charts/foresail/files/crd.yaml"
    )


def test_the_command_prints_it():
    result = CliRunner().invoke(app, ["crd"])

    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout) == crd()


def test_the_schema_is_structural():
    allowed = {"type", "format", "description", "default", "enum", "properties", "required", "items", "pattern"}
    allowed |= {"additionalProperties", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"}
    allowed |= {"minProperties", "maxProperties"}

    for path, node in nodes(SCHEMA, ""):
        assert node["type"] in ("object", "array", "string", "integer", "number", "boolean"), path
        assert {key for key in node if not key.startswith("x-kubernetes-")} <= allowed, path
        assert not ({"properties", "additionalProperties"} <= node.keys()), path


def test_every_field_of_the_spec_says_what_it_means():
    assert [path for path, node in nodes(SPEC) if not path.endswith("[]") and not node.get("description")] == ["spec"][
        :0
    ]


def test_everything_that_a_rule_may_walk_has_a_bound():
    # API servers estimate what a rule can cost at most, and refuse the definition where that is too much.
    for path, node in nodes(SPEC):
        if node["type"] == "array":
            assert "maxItems" in node, path
        if node["type"] == "string" and "enum" not in node:
            assert "maxLength" in node, path


def test_every_list_of_sections_is_a_map():
    lists = {path: node for path, node in nodes(SPEC) if node["type"] == "array" and node["items"]["type"] == "object"}

    assert {path: node["x-kubernetes-list-map-keys"] for path, node in lists.items()} == {
        "spec.targets": ["name"],
        "spec.metrics.expressions": ["signal"],
        "spec.failureSignals": ["kind", "target"],
        "spec.databases": ["target"],
        "spec.events": ["name"],
    }
    for node in lists.values():
        item = node["items"]
        for key in node["x-kubernetes-list-map-keys"]:
            assert key in item.get("required", ()) or "default" in item["properties"][key]


def test_defaults_keep_their_own_rules():
    for path, node in nodes(SPEC):
        if node["type"] == "object" and "default" in node:
            _, refused = admitted({**node, "default": None}, node["default"])
            assert refused == [], path


def test_conditions_are_a_map_by_type():
    conditions = SCHEMA["properties"]["status"]["properties"]["conditions"]

    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert conditions["items"]["properties"]["type"]["enum"] == list(ConditionType)


def test_nothing_is_filled_in_in_a_status():
    assert [path for path, node in nodes(SCHEMA["properties"]["status"]) if "default" in node] == []


def test_columns_show_what_there_is():
    version = crd()["spec"]["versions"][0]
    columns = {column["name"]: column["jsonPath"] for column in version["additionalPrinterColumns"]}

    assert [name for name in columns if name != "Ready"] == [
        "Mode",
        "In force",
        "Workloads",
        "Floor",
        "Calibration",
        "Age",
    ]
    for name, path in columns.items():
        if name in ("Ready", "Age"):
            continue
        node = SCHEMA
        for part in path.strip(".").split("."):
            node = node["properties"][part]


def test_names_and_subresource():
    spec = crd()["spec"]

    assert crd()["metadata"]["name"] == "resiliencepolicies.foresail.dev"
    assert spec["names"]["shortNames"] == ["rp"]
    assert spec["scope"] == "Namespaced"
    assert spec["versions"][0]["subresources"] == {"status": {}}


def test_a_model_that_cannot_be_structural_is_refused():
    from pydantic import BaseModel

    class Either(BaseModel):
        value: int | str

    with pytest.raises(SchemaNotStructural, match=r"Either\.value: one of several types"):
        structural_schema(Either)


def test_what_the_api_server_stores_reads_the_same():
    minimal = body()

    stored = with_defaults(SCHEMA, body())

    assert stored != minimal
    assert read_policy(stored).spec == read_policy(minimal).spec


def test_what_is_read_and_written_again_reads_the_same():
    spec = policy().spec
    written = spec.model_dump(mode="json", by_alias=True, exclude_none=True)

    again = read_policy({**body(), "spec": written})

    assert again.spec == spec
    assert admitted(SPEC, written)[1] == []


def test_an_empty_status_fits():
    assert admitted(SCHEMA["properties"]["status"], Status().body())[1] == []


def test_rules_see_whole_numbers_as_fractions():
    assert as_cel({"type": "number"}, 1) == 1.0
    assert isinstance(as_cel({"type": "number"}, 1), float)


TEXTS = {
    "promql": ["up", ""],
    "start": ["2026-11-27T08:00:00Z", "2026-11-27T08:00:00+01:00", "2026-11-27T08:00:00", "tomorrow"],
    "rrule": ["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=FR", "every day", ""],
    "timeZone": ["UTC", "Europe/Berlin", "../etc", ""],
    "kind": ["Deployment", "StatefulSet", "Rollout", "rollout", ""],
    "path": ["/-/drain", "drain", "/"],
    "credentialsFile": ["patroni", "../patroni", ".hidden"],
    "tokenFile": ["token", "a/b"],
    "scopeLabel": ["cluster-name", "demo-shop/database", "/x"],
}
NAMES = ["gateway", "cart", "postgres", "Not A Name", "-x", ""]


def values(schema, name=""):
    """Values that nearly fit: most do, some are just outside."""
    match schema["type"]:
        case _ if "enum" in schema:
            return st.sampled_from([*schema["enum"], *schema["enum"], "Wrong"])
        case "object" if "properties" in schema:
            required = set(schema.get("required", ()))
            fields = {field: values(child, field) for field, child in schema["properties"].items()}
            return st.fixed_dictionaries(
                {field: fields[field] for field in required},
                optional={field: value for field, value in fields.items() if field not in required},
            )
        case "object":
            return st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["web", "", "a b"]), max_size=2)
        case "array":
            return st.lists(values(schema["items"], name), max_size=3)
        case "boolean":
            return st.booleans()
        case "string":
            return st.sampled_from(TEXTS.get(name, NAMES))
        case "integer":
            least, most = schema["minimum"], schema["maximum"]
            return st.sampled_from([least, most, (least + most) // 2, schema.get("default", least), least - 1])
        case "number":
            least, most = schema["minimum"], schema["maximum"]
            return st.sampled_from([least, most, 0.5 * (least + most), schema.get("default", least), 2 * most + 1])
    raise AssertionError(schema)


def section_names():
    return [name for name in SPEC["properties"] if name != "targets"]


TARGETS = st.sampled_from(
    [
        [{"name": "gateway", "workload": {"name": "gateway"}}],
        [
            {"name": "gateway", "workload": {"name": "gateway"}},
            {"name": "cart", "workload": {"name": "cart"}, "role": "Driven", "drivenBy": "gateway"},
            {"name": "postgres", "workload": {"kind": "StatefulSet", "name": "postgres"}, "role": "Store"},
        ],
    ]
)


@pytest.mark.parametrize("section", section_names())
@REPEATABLE
@given(data=st.data())
def test_api_server_and_operator_agree_on_every_section(section, data):
    spec = {"targets": data.draw(TARGETS), section: data.draw(values(SPEC["properties"][section], section))}

    _, refused = admitted(SPEC, spec)
    resource = read_policy({**body(), "spec": spec})

    assert (resource.spec is not None) == (not refused), (refused, [str(problem) for problem in resource.problems])


@REPEATABLE
@given(st.lists(values(SPEC["properties"]["targets"]["items"]), max_size=3), values(SPEC["properties"]["scaling"]))
def test_api_server_and_operator_agree_on_targets(targets, scaling):
    spec = {"targets": targets, "scaling": scaling}

    _, refused = admitted(SPEC, spec)
    resource = read_policy({**body(), "spec": spec})

    assert (resource.spec is not None) == (not refused), (refused, [str(problem) for problem in resource.problems])
