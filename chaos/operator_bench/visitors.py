"""Visitors of one measurement: `python -m chaos.operator_bench.visitors URL OUT RPS DURATION_S SEED`.

A process of its own, since it has to run in the cluster's network. What it saw is in the folder `OUT`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

from chaos.load.plan import LoadPlan
from chaos.load.run import run_load
from chaos.load.shapes import shaped


def main(url: str, out: str, rps: str, duration_s: str, seed: str) -> None:
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    plan = LoadPlan(
        url=url,
        shape=shaped("constant", float(rps), float(duration_s), int(seed), False),
        out=folder,
        ledger=folder / "ledger.jsonl",
        seed=int(seed),
        allowed_hosts=(str(urlsplit(url).hostname),),
    )
    run_load(plan)


if __name__ == "__main__":
    main(*sys.argv[1:])
