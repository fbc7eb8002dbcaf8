"""Visitors on the whole shop, and its books held against what they were told."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from foresail.cli import app

pytestmark = pytest.mark.xdist_group("shop-stores")


def test_what_visitors_were_told_is_what_the_books_say(
    shop: dict[str, Any], shop_state_file: Path, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    load = ["load", "--url", shop["shop"], "--rps", "20", "--duration-s", "4", "--mix", "product=1,checkout=1"]

    sent = CliRunner().invoke(app, [*load, "--probe", "--ledger", str(ledger), "--out", str(tmp_path), "--json"])
    held = CliRunner().invoke(app, ["reconcile", "--ledger", str(ledger), "--state", str(shop_state_file), "--json"])

    assert sent.exit_code == 0, sent.stderr
    summary, report = json.loads(sent.stdout), json.loads(held.stdout)
    assert summary["orders"]["acknowledged"] > 0 and summary["probe"]["ok"] > 0
    told = summary["orders"]["acknowledged"] + summary["probe"]["ok"]
    assert report["acknowledged"] == told
    # Other tests' orders lie in the same books; of ours none is wrong.
    keys = {json.loads(line)["key"] for line in ledger.read_text().splitlines()}
    assert [finding for finding in report["findings"] if finding["key"] in keys] == []
