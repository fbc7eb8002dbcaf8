"""Dashboards and rules ask for metrics that the operator exports, in expressions that can be taken out and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from charts import CHARTS, FORESAIL, ROOT, read, script

tool = script(CHARTS / "dashboard_queries.py")

VALUES = tool.values_for("shop/it-gateway", horizon_s=300, signal="memory")
RULES = FORESAIL / "files" / "rules.yaml"
SUFFIXES = ("_bucket", "_sum", "_count", "_total")


def expressions() -> list[str]:
    rules = [rule["expr"] for group in read(RULES)["groups"] for rule in group["rules"]]
    return [*(query.expression for query in tool.all_queries(VALUES)), *rules]


def exported() -> set[str]:
    """Names of metrics in the operator's source."""
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "operator" / "foresail").rglob("*.py"))
    return set(re.findall(r'"(foresail_[a-z_]+)"', code))


def test_every_metric_that_is_asked_for_is_exported() -> None:
    asked = {name for text in expressions() for name in re.findall(r"\bforesail_[a-z_]+", text)}
    plain = {next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name) for name in asked}

    assert plain <= exported()


def test_variables_are_filled_in() -> None:
    assert all("$" not in query.expression for query in tool.all_queries(VALUES))


def test_an_unknown_variable_is_named() -> None:
    board = {"title": "b", "panels": [{"title": "p", "targets": [{"expr": "up{a='$mystery'}"}]}]}

    with pytest.raises(tool.VariableUnknown, match=r"\$mystery"):
        list(tool.queries_of(board, VALUES))


def test_queries_come_from_panels_annotations_and_variables() -> None:
    board: dict[str, Any] = {
        "title": "b",
        "panels": [{"title": "row", "panels": [{"title": "p", "targets": [{"expr": 'up{w="$workload"}'}]}]}],
        "annotations": {"list": [{"name": "acts", "expr": "changes(x[1m])"}]},
        "templating": {"list": [{"name": "v", "type": "query", "definition": "label_values(up{}, job)"}]},
    }

    found = [(query.panel, query.expression) for query in tool.queries_of(board, VALUES)]

    assert found == [("p", 'up{w="shop/it-gateway"}'), ("annotation acts", "changes(x[1m])"), ("variable v", "up{}")]


def test_a_forecast_is_compared_with_what_came_after_its_horizon() -> None:
    for text in expressions():
        for horizon_s, offset in re.findall(r'foresail_forecast\{[^}]*horizon_s="(\d+)"[^}]*\} offset (\w+)', text):
            assert offset in (f"{horizon_s}s", f"{int(horizon_s) // 60}m")


@pytest.mark.parametrize("file", sorted(FORESAIL.glob("dashboards/*.json")), ids=lambda file: file.stem)
def test_a_dashboard_is_whole(file: Path) -> None:
    board = read(file)
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]

    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["targets"] for panel in panels)
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    assert [annotation["name"] for annotation in board["annotations"]["list"]] == ["Acts"]


def test_every_alert_says_what_is_the_matter() -> None:
    for group in read(RULES)["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                assert rule["labels"]["severity"] in ("critical", "warning", "info")
                assert rule["annotations"]["summary"]


@pytest.mark.skipif(
    shutil.which("promtool") is None and os.environ.get("CI") != "true", reason="promtool is not installed here"
)
def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    lines = ["groups:", "- name: all", "  rules:"]
    for number, text in enumerate(expressions()):
        lines += [f"  - record: q{number}", f"    expr: '{text.replace(chr(39), chr(39) * 2)}'"]
    file = tmp_path / "all.yaml"
    file.write_text("\n".join(lines), encoding="utf-8")

    for checked in (file, RULES):
        done = subprocess.run(["promtool", "check", "rules", str(checked)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
