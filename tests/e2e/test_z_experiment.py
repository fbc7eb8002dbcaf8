"""A short experiment from the command to its report. The last file: experiments begin by taking everything away."""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from e2e_stage import Stage

pytestmark = pytest.mark.slow

SCENARIO, ARM = "live-smoke", "foresail"
SALE_S = 50.0


def test_foresail_acts_before_an_announced_sale_and_no_order_is_lost(stage: Stage, tmp_path: Path) -> None:
    out = tmp_path / "live"
    foresail = Path(sys.executable).with_name("foresail")
    words = ("chaos", "run", SCENARIO, "--arms", ARM, "--pairs", "1", "--cluster", stage.name, "--out", str(out))
    done = subprocess.run([foresail, *words], text=True, capture_output=True, timeout=900.0, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    run = out / SCENARIO / "runs" / f"{ARM}-1"
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert facts["guard"]["steady"] and facts["guard"]["aborted"] is None
    found = facts["books"]["reconciliation"]
    assert found["acknowledged"] > 0 and found["findings"] == []

    decisions = [json.loads(line) for line in (run / "decisions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(one["sentence"] for one in decisions)
    floors = [one["at"] for one in decisions for act in one["actions"] if act["kind"] == "SetFloor" and act["done"]]
    assert floors and min(map(unix_s, floors)) < facts["zero_s"] + SALE_S

    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["origin"] == "live" and summary["failed_runs"] == []
    assert summary["arms"][ARM]["orders_lost"]["mean"] == 0.0
    assert "live" in (out / "report.html").read_text(encoding="utf-8")


def unix_s(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
