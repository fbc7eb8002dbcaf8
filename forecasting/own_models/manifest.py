"""The registry's manifest as a value: models, promotion sets, and the JSON between. Strict: what it does not know, it
refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from forecasting.own_models.errors import RegistryInvalid
from forecasting.own_models.gate import SignalScore

SCHEMA = 1
#: Names of folders inside the registry, so that no manifest leads out of it.
MODEL_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
FILE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\.(onnx|json|safetensors)")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model of the registry: `files` are names and checksums; a hub model's weights stay in `hub_folder`.

    `until_s`: unix time of the newest point it was trained on, None where that is unknown.
    """

    id: str
    kind: str
    created_at: str
    files: Mapping[str, str]
    series: int
    points: int
    step_s: float
    until_s: float | None
    scores: tuple[SignalScore, ...]
    hub_folder: str | None = None


@dataclass(frozen=True, slots=True)
class PromotionSet:
    """Signal → model, made at `made_at` while set `before` was active (None: none was)."""

    number: int
    made_at: str
    signals: Mapping[str, str]
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything the registry knows. `active` is the number of a set, None: the default forecasts everything."""

    models: tuple[ModelEntry, ...] = ()
    sets: tuple[PromotionSet, ...] = ()
    active: int | None = None
    schema: int = field(default=SCHEMA)

    def set_numbered(self, number: int) -> PromotionSet:
        """Raises `RegistryInvalid` where there is none."""
        for one in self.sets:
            if one.number == number:
                return one
        known = ", ".join(str(one.number) for one in self.sets) or "none"
        raise RegistryInvalid(f"there is no promotion set {number}; kept are: {known}")

    def model(self, model_id: str) -> ModelEntry:
        """Raises `RegistryInvalid` where there is none."""
        for one in self.models:
            if one.id == model_id:
                return one
        raise RegistryInvalid(f"there is no model {model_id!r}; see `foresail models list`")

    @property
    def promoted(self) -> Mapping[str, str]:
        """Signal → model, as it is served now."""
        return {} if self.active is None else self.set_numbered(self.active).signals


def manifest_json(manifest: Manifest) -> str:
    return json.dumps(asdict(manifest), indent=1) + "\n"


def parsed_manifest(text: str, where: str) -> Manifest:
    """Raises `RegistryInvalid` for anything that `manifest_json` did not write."""
    try:
        raw: dict[str, Any] = json.loads(text)
        if raw["schema"] != SCHEMA:
            raise RegistryInvalid(
                f"{where} has schema {raw['schema']!r}, this version reads {SCHEMA}: use the version that wrote it"
            )
        manifest = Manifest(
            models=tuple(_entry(one) for one in raw["models"]),
            sets=tuple(_set(one) for one in raw["sets"]),
            active=raw["active"],
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RegistryInvalid(f"{where} is no registry of models: {error!r}; restore it from a backup") from error
    _checked(manifest, where)
    return manifest


def _entry(raw: dict[str, Any]) -> ModelEntry:
    scores = tuple(SignalScore(**score) for score in raw["scores"])
    return ModelEntry(**{**raw, "scores": scores})


def _set(raw: dict[str, Any]) -> PromotionSet:
    return PromotionSet(**{**raw, "number": int(raw["number"])})


def _checked(manifest: Manifest, where: str) -> None:
    for model in manifest.models:
        if not MODEL_ID.fullmatch(model.id):
            raise RegistryInvalid(f"{where}: {model.id!r} is no model's name")
        for name, sha256 in model.files.items():
            if not FILE_NAME.fullmatch(name) or not SHA256.fullmatch(sha256):
                raise RegistryInvalid(
                    f"{where}: {name!r} is no file of a model: only ONNX, JSON and safetensors are served"
                )
    known = {model.id for model in manifest.models}
    for one in manifest.sets:
        for signal, model_id in one.signals.items():
            if model_id not in known:
                raise RegistryInvalid(f"{where}: set {one.number} promotes {model_id!r} for {signal!r}, which is gone")
    if manifest.active is not None:
        manifest.set_numbered(manifest.active)
