"""A short experiment from the command to its report. The last file: experiments begin by taking everything away."""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from e2e_stage import Stage

SCENARIO, ARM = "live-smoke", "foresail"
SALE_S = 50.0
SETTLE_S = "30"


def test_foresail_acts_before_an_announced_sale_and_no_order_is_lost(stage: Stage, tmp_path: Path) -> None:
    out = tmp_path / "live"
    done = _carried_out(stage, out)
    if done.returncode != 0:
        # A machine that stalls for some seconds makes a shop that is not steady; twice in a row is no such moment.
        done = _carried_out(stage, out, "--resume", "--again", "failed")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

    run = out / SCENARIO / "runs" / f"{ARM}-1"
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert facts["guard"]["steady"] and facts["guard"]["aborted"] is None
    found = facts["books"]["reconciliation"]
    assert found["acknowledged"] > 0 and found["findings"] == []

    decisions = [json.loads(line) for line in (run / "decisions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(one["sentence"] for one in decisions)
    raised_for_it = [
        unix_s(one["at"])
        for one in decisions
        if any(act["kind"] == "SetFloor" and act["done"] for act in one["actions"])
        and any(reason["code"] == "demand_declared" for reason in one["reasons"])
    ]
    assert raised_for_it and min(raised_for_it) < facts["zero_s"] + SALE_S

    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["origin"] == "live" and summary["failed_runs"] == []
    assert summary["arms"][ARM]["orders_lost"]["mean"] == 0.0
    assert "live" in (out / "report.html").read_text(encoding="utf-8")


def _carried_out(stage: Stage, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    foresail = Path(sys.executable).with_name("foresail")
    words = ("chaos", "run", SCENARIO, "--arms", ARM, "--pairs", "1", "--settle-s", SETTLE_S, "--cluster", stage.name)
    return subprocess.run(
        [foresail, *words, "--out", out, *more], text=True, capture_output=True, timeout=900.0, check=False
    )


def unix_s(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
