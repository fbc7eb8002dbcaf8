"""Property and fuzz tests of the API against its own OpenAPI document, on the real shop."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("shop-stores")

EXAMPLES = 25


def test_the_api_answers_as_its_document_says(shop: dict[str, Any], tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{shop['shop']}/openapi.json"),
            *("--checks", "all", "--exclude-checks", "ignored_auth", "--max-examples", str(EXAMPLES)),
            *("--seed", "1", "--phases", "examples,coverage,fuzzing", "--request-timeout", "20"),
            *("--report-junit-path", str(report), "--no-color"),
        ],
        capture_output=True,
        text=True,
        timeout=600.0,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_the_document_names_every_operation_and_its_errors(shop: dict[str, Any]) -> None:
    with urllib.request.urlopen(f"{shop['shop']}/openapi.json", timeout=10.0) as answer:
        document = json.load(answer)
    operations = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) >= 12
    assert len({operation["operationId"] for _, _, operation in operations}) == len(operations)
    for path, method, operation in operations:
        errors = {status for status in operation["responses"] if status >= "400"}
        assert errors, f"{method} {path} documents no error"
        for status in errors:
            content = operation["responses"][status]["content"]
            assert list(content) == ["application/problem+json"], f"{method} {path} {status}"
