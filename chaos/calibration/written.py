"""The calibrated topology as a file, with where its numbers come from, and the fits as JSON and as lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import yaml

from chaos.calibration.calibrated import UNTOLD, Calibrated
from chaos.calibration.fit import Fit, Measured
from chaos.experiments.jobs import RunKey


def topology_file(found: Calibrated, runs: Sequence[RunKey]) -> str:
    """YAML that `foresail simulate` and `foresail chaos compare --topology` read."""
    said = [
        f"The shop as {len(runs)} live runs show it: {_runs_in_words(runs)}.",
        "",
        "Measured, and in its place below (before → now, 95 % interval, samples):",
        *(f"  {fit_line(fit)}" for fit in found.used),
        "",
        "Measured, for information (what the topology above implied → measured):",
        *(f"  {fit_line(fit)}" for fit in found.fits if fit.told),
        "",
        "As it was:",
        *(f"  {fit_line(fit)}" for fit in found.fits if fit.left),
        *(f"  {name}: {why}" for name, why in UNTOLD),
    ]
    head = "\n".join(f"# {line}".rstrip() for line in said)
    raw = found.topology.model_dump(mode="json", exclude_defaults=True)
    return f"{head}\n{yaml.safe_dump(raw, sort_keys=False, allow_unicode=True, width=120)}"


def fits_json(found: Calibrated, runs: Sequence[RunKey], left_out: Iterable[tuple[RunKey, str]]) -> dict[str, Any]:
    """Everything that was measured; unknown is null."""
    return {
        "runs": [key._asdict() for key in runs],
        "left_out": [{**key._asdict(), "why": why} for key, why in left_out],
        "fits": [{**asdict(fit), "used": fit.used} for fit in found.fits],
        "not_identifiable": [{"parameters": name, "why": why} for name, why in UNTOLD],
        "topology": found.topology.model_dump(mode="json", exclude_unset=True),
    }


def fit_line(fit: Fit) -> str:
    """`services.cart.startup.time_s: 12 → 9.4 s (9.1 to 9.8, 24 samples; lead time less pull and probes)`."""
    before = "" if fit.before is None else f"{fit.before:.4g} → "
    text = f"{fit.parameter}: {before}{_value(fit.measured)} {fit.unit}".rstrip()
    return f"{text} ({_evidence(fit.measured)}; {fit.left or fit.how})"


def _value(measured: Measured) -> str:
    return "unknown" if measured.value is None else f"{measured.value:.4g}"


def _evidence(measured: Measured) -> str:
    samples = f"{measured.samples} samples"
    if measured.low is None or measured.high is None:
        return samples
    return f"{measured.low:.4g} to {measured.high:.4g}, {samples}"


def _runs_in_words(runs: Sequence[RunKey]) -> str:
    seeds: dict[tuple[str, str], list[str]] = {}
    for key in runs:
        seeds.setdefault((key.scenario, key.arm), []).append(str(key.seed))
    return "; ".join(f"{scenario} under {arm}, seed {' '.join(some)}" for (scenario, arm), some in seeds.items())
