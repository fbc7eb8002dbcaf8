"""The arms of an experiment: who decides about replicas, with which settings, and which of them may be searched.

`tuned.yaml` beside this file holds the values found by `foresail tune`. Every arm has one main knob that trades cost
against downtime; `foresail pareto` sweeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

Scaler = Literal["hpa", "kpa", "phpa-linear", "phpa-holt-winters", "predict-linear", "crane-fft", "cron"]
#: Where a control loop's view of the future comes from. `generative` is what Foresail ships with; `independent` and
#: `point` are the same with samples drawn step by step, and with one future only.
Outlook = Literal["none", "persistence", "fallback", "generative", "independent", "point", "clairvoyant"]

TUNED = Path(__file__).parent / "tuned.yaml"


class ArmUnknown(Exception):
    """No arm has this name; the message lists those that exist."""


class ArmSettingsInvalid(Exception):
    """An arm has no such setting, or not this value; the message names the fix."""


class Knob(NamedTuple):
    """Range that tuning may search. `log`: a value twice as large matters as much as one half as large."""

    low: float
    high: float
    kind: Literal["int", "float", "log"]


@dataclass(frozen=True, slots=True)
class ArmSettings:
    """Everything that may differ between arms. None: as the scenario's own HPA says."""

    arm: str
    scaler: Scaler = "hpa"
    outlook: Outlook = "none"  # what the control loop knows of the future; none: there is no loop
    # the HPA below the arm
    hpa_target_pct: float | None = None  # of the CPU request
    hpa_up_window_s: float | None = None
    hpa_up_pct: float | None = None  # of the replicas, per 15 s
    hpa_down_window_s: float | None = None
    hpa_down_pct: float | None = None  # of the replicas, per minute
    # peers that reckon in requests per second: the share of a pod's load-tested capacity that they aim at
    target_ratio: float = 0.7
    look_ahead_s: float = 120.0
    range_s: float = 300.0  # how far back a trend is read
    season_s: float = 600.0  # of Holt-Winters
    stable_window_s: float = 60.0
    panic_threshold_pct: float = 200.0
    margin_ratio: float = 0.1  # added to a periodic forecast
    slot_s: float = 900.0  # one entry of the schedule
    # the control loop
    target_utilization: float = 0.7
    violation_cost: float = 30.0
    cvar_level: float = 0.95
    act_probability: float = 0.6

    @property
    def has_loop(self) -> bool:
        return self.outlook != "none"


class _Arm(NamedTuple):
    scaler: Scaler
    outlook: Outlook
    main_knob: str
    knobs: Mapping[str, Knob]
    tuned_as: str | None = None  # an ablation has the settings of the arm that it is compared with


_HPA = {
    "hpa_target_pct": Knob(30, 140, "int"),
    "hpa_up_window_s": Knob(0, 60, "int"),
    "hpa_up_pct": Knob(50, 400, "int"),
    "hpa_down_window_s": Knob(60, 600, "int"),
    "hpa_down_pct": Knob(5, 100, "int"),
}
#: Below about 75 % the HPA binds before the floor does, and the floor can only add to what it costs.
_LEAN_HPA = {"hpa_target_pct": Knob(75, 150, "int"), "hpa_down_window_s": Knob(30, 300, "int")}
_LOOP = {
    "target_utilization": Knob(0.4, 0.95, "float"),
    # The priced futures are the worst (1 − cvar_level) / violation_cost of all, from a third to almost none.
    "violation_cost": Knob(1.5, 100, "log"),
    "cvar_level": Knob(0.5, 0.98, "float"),
}
_FORESAIL = {**_LEAN_HPA, **_LOOP}
_RATE = {"target_ratio": Knob(0.2, 0.95, "float")}
_AHEAD = {"look_ahead_s": Knob(30, 600, "int")}

_ARMS: Mapping[str, _Arm] = {
    "hpa-default": _Arm("hpa", "none", "hpa_target_pct", {}),
    "hpa-tuned": _Arm("hpa", "none", "hpa_target_pct", _HPA),
    "hpa-tuned-fast-lane": _Arm("hpa", "persistence", "hpa_target_pct", {**_HPA, **_LOOP}),
    "kpa": _Arm(
        "kpa",
        "none",
        "target_ratio",
        {**_RATE, "stable_window_s": Knob(30, 600, "int"), "panic_threshold_pct": Knob(110, 400, "int")},
    ),
    "phpa-linear": _Arm("phpa-linear", "none", "hpa_target_pct", {**_HPA, **_AHEAD, "range_s": Knob(60, 1800, "int")}),
    "phpa-holt-winters": _Arm(
        "phpa-holt-winters", "none", "hpa_target_pct", {**_HPA, **_AHEAD, "season_s": Knob(120, 3600, "int")}
    ),
    "predict-linear": _Arm(
        "predict-linear", "none", "target_ratio", {**_RATE, **_AHEAD, **_HPA, "range_s": Knob(60, 1800, "int")}
    ),
    "crane-fft": _Arm(
        "crane-fft", "none", "target_ratio", {**_RATE, **_AHEAD, **_HPA, "margin_ratio": Knob(0.0, 0.3, "float")}
    ),
    "cron": _Arm("cron", "none", "target_ratio", {**_RATE, **_HPA, "slot_s": Knob(300, 3600, "int")}),
    "foresail": _Arm("hpa", "generative", "target_utilization", _FORESAIL),
    "foresail-fallback": _Arm("hpa", "fallback", "target_utilization", _FORESAIL, tuned_as="foresail"),
    "foresail-independent-samples": _Arm("hpa", "independent", "target_utilization", _FORESAIL, tuned_as="foresail"),
    "foresail-point": _Arm("hpa", "point", "target_utilization", _FORESAIL, tuned_as="foresail"),
    "oracle": _Arm("hpa", "clairvoyant", "target_utilization", _FORESAIL),
}

#: Every arm that `--arms` knows.
ARM_NAMES: tuple[str, ...] = tuple(_ARMS)

_SETTING_NAMES = frozenset(f.name for f in fields(ArmSettings)) - {"arm", "scaler", "outlook"}
_RATIOS = frozenset({"target_ratio", "target_utilization", "cvar_level", "act_probability"})


def arm_settings(name: str, overrides: Mapping[str, Any] | None = None) -> ArmSettings:
    """The arm's tuned settings with `overrides` on top.

    Raises `ArmUnknown`, or `ArmSettingsInvalid` for a setting that does not exist or is no usable number.
    """
    arm = _arm(name)
    values = {**_tuned().get(arm.tuned_as or name, {}), **(overrides or {})}
    for key, value in values.items():
        _check(name, key, value)
    return replace(ArmSettings(name, arm.scaler, arm.outlook), **values)


def search_space(name: str) -> Mapping[str, Knob]:
    """What tuning may change of the arm; empty for the default, which nobody tunes, and for ablations, which take over
    what was found for the arm that they are compared with."""
    arm = _arm(name)
    return arm.knobs if arm.tuned_as is None else {}


def main_knob(name: str) -> tuple[str, Knob]:
    """The setting that trades the arm's cost against its downtime, and the range worth sweeping."""
    arm = _arm(name)
    return arm.main_knob, arm.knobs.get(arm.main_knob, _HPA["hpa_target_pct"])


def _arm(name: str) -> _Arm:
    if name not in _ARMS:
        raise ArmUnknown(f"no arm is called {name!r}: use one of {', '.join(ARM_NAMES)}")
    return _ARMS[name]


def _check(arm: str, key: str, value: object) -> None:
    if key not in _SETTING_NAMES:
        raise ArmSettingsInvalid(f"{arm}: no setting {key!r}: use one of {', '.join(sorted(_SETTING_NAMES))}")
    if value is None and key.startswith("hpa_"):
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ArmSettingsInvalid(f"{arm}: {key} is {value!r}: give a number")
    if key in _RATIOS and not 0 < value <= 1:
        raise ArmSettingsInvalid(f"{arm}: {key} is {value:g}: give a share above 0 and up to 1")
    if key not in _RATIOS and value < 0:
        raise ArmSettingsInvalid(f"{arm}: {key} is {value:g}: give a number that is not negative")


@cache
def _tuned() -> Mapping[str, Mapping[str, float]]:
    loaded = yaml.safe_load(TUNED.read_text(encoding="utf-8")) or {}
    return {name: dict(values or {}) for name, values in loaded.items()}
