"""Every recorded upstream case of the shared data, where it is at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from simulation.hpa.replay import replay_file

VECTORS = Path(__file__).parents[3] / "../shared/data/hpa/hpa_vectors.json"


@pytest.mark.skipif(not VECTORS.exists(), reason="the shared data is not beside the repository")
def test_every_shared_case_gets_upstreams_answer() -> None:
    cases = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]

    answers = list(replay_file(VECTORS))

    assert answers == [{"id": case["id"], **case["expected"]} for case in cases]
