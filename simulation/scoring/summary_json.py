"""summary.json: the keys that people and other programs rely on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulation.scoring.statistics import Comparison, Estimate
from simulation.scoring.summary import FaultSummary, Summary
from simulation.scoring.verdict import verdict


def summary_json(summary: Summary) -> dict[str, Any]:
    """The summary as JSON values; unknown is null."""
    return {
        "scenario": summary.scenarios[0] if len(summary.scenarios) == 1 else "several",
        "scenarios": list(summary.scenarios),
        "seeds": list(summary.seeds),
        "origin": summary.origin,
        "starts_at": summary.starts_at,
        "duration_s": summary.duration_s,
        "baseline": summary.baseline,
        "verdict": verdict(summary),
        "arms": _arms_json(summary.arms),
        "paired": _pairs_json(summary.paired),
        "groups": {
            name: {
                "scenarios": list(group.scenarios),
                "arms": _arms_json(group.arms),
                "paired": _pairs_json(group.paired),
            }
            for name, group in summary.groups.items()
        },
        "faults": [_fault_json(f) for f in summary.faults],
        "failed_runs": [
            {"scenario": f.scenario, "arm": f.arm, "seed": f.seed, "error": f.error} for f in summary.failures
        ],
    }


def _arms_json(arms: Mapping[str, Mapping[str, Estimate]]) -> dict[str, Any]:
    return {arm: {f: _estimate_json(e) for f, e in figures.items()} for arm, figures in arms.items()}


def _pairs_json(paired: Mapping[tuple[str, str], Mapping[str, Comparison]]) -> dict[str, Any]:
    return {
        f"{left}_vs_{right}": {f: _comparison_json(c) for f, c in figures.items()}
        for (left, right), figures in paired.items()
    }


def _estimate_json(value: Estimate) -> dict[str, Any]:
    return {"mean": value.mean, "ci95": [value.low, value.high]}


def _comparison_json(value: Comparison) -> dict[str, Any]:
    return {
        "ratio": value.ratio,
        "ci95": [value.ratio_low, value.ratio_high],
        "difference": value.difference,
        "difference_ci95": [value.difference_low, value.difference_high],
    }


def _fault_json(fault: FaultSummary) -> dict[str, Any]:
    return {
        "scenario": fault.scenario,
        "index": fault.index,
        "kind": fault.kind,
        "label": fault.label,
        "start_s": fault.start_s,
        "end_s": fault.end_s,
        "predictable": fault.predictable,
        "baseline_hurt_seeds": fault.hurts_baseline,
        "baseline_seeds": fault.baseline_runs,
        "counted": fault.counted,
        "arms": {
            arm: {
                "seeds": line.runs,
                "hurt": line.hurt,
                "averted": line.averted,
                "masked": line.masked,
                "censored": line.censored,
                "detected": line.detected,
                "mttr_s": line.time_to_recover_s,
                "downtime_s": line.downtime_s,
            }
            for arm, line in fault.arms.items()
        },
    }
