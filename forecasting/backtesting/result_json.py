"""A backtest's result as JSON: the same keys for every model, null where a figure cannot be told."""

from __future__ import annotations

from typing import Any

from forecasting.backtesting.study import ModelResult, Result
from forecasting.backtesting.summary import Estimate

#: The figures that every model has, in this order.
KEYS = ("wql", "mase", "p90", "p99", "cover80", "cover98", "peak_crps", "hit_brier", "ms_per_100")
_DIGITS = 6


def result_json(result: Result) -> dict[str, Any]:
    """`{"models": {NAME: {…}}, "windows": N, …}`; ratios are to seasonal naive, geometric means over groups."""
    plan, conditions = result.plan, result.settings.conditions
    return {
        "models": {model.name: _model(model) for model in result.models},
        "windows": sum(result.windows_of.values()),
        "failed": dict(result.failed),
        "reference": result.models[0].name,
        "groups": {group: _group(result, group) for group in result.windows_of},
        "horizon_steps": plan.horizon_steps,
        "horizons": list(conditions.horizons),
        "samples": conditions.samples,
        "warm_up": conditions.warm_up,
        "seed": conditions.seed,
        "hit_base_rate": _rounded(result.base_rate),
        "dropped": {"windows": plan.dropped_windows, "series": list(plan.dropped_series)},
    }


def _model(model: ModelResult) -> dict[str, Any]:
    told = {key: model.figures[key].value for key in KEYS if key in model.figures} | {"ms_per_100": model.ms_per_100}
    unknown = [key for key in KEYS if told[key] is None]
    found: dict[str, Any] = {key: _rounded(told[key]) for key in KEYS}
    if unknown:
        found["unknown"] = dict.fromkeys(unknown, "the reference has no loss, or nothing moved, in every group")
    others = [name for name in model.figures if name not in KEYS]
    return found | {
        **{name: _rounded(model.figures[name].value) for name in others},
        "hit_skill": _rounded(model.hit_skill.value),
        "hit_skill_base_rate": _rounded(model.hit_skill_base_rate),
        "intervals": {name: _interval(each) for name, each in model.figures.items()}
        | {"hit_skill": _interval(model.hit_skill)},
        "raw": {name: _rounded(value) for name, value in model.raw.items()},
        "groups": {
            group: {name: _rounded(value) for name, value in figures.items()} for group, figures in model.groups.items()
        },
        "reliability": [
            {
                "from": each.low,
                "forecast": _rounded(each.forecast),
                "observed": _rounded(each.observed),
                "windows": each.windows,
            }
            for each in model.reliability
        ],
        "unanswered_share": _rounded(model.unanswered_share),
        "fell_back_share": _rounded(model.fell_back_share),
    }


def _group(result: Result, group: str) -> dict[str, Any]:
    cohorts = result.plan.of_group(group)
    return {
        "windows": result.windows_of[group],
        "series": sum(len(cohort.names) for cohort in cohorts),
        "step_s": sorted({cohort.step_s for cohort in cohorts}),
        "horizon_steps": sorted({cohort.horizon_steps for cohort in cohorts}),
    }


def _interval(estimate: Estimate) -> list[float] | None:
    if estimate.low is None or estimate.high is None:
        return None
    return [round(estimate.low, _DIGITS), round(estimate.high, _DIGITS)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
