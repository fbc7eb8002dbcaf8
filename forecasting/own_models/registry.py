"""The folder that holds the user's models: which there are, which signals each forecasts, and the way back.

    models/registry.json                   manifest: models, promotion sets, which set is active
    models/tide-20261121t135000z/          model.onnx, card.json

A promotion set says which model forecasts which signal; all others are the default's. Sets are never changed: training
adds one, rolling back activates the one before. The manifest is replaced in one piece, so that a reader sees the old
state or the new one. Reading checks everything, and unpickles nothing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from forecasting.onnx_session import sha256_of
from forecasting.own_models.card import CARD_FILE, GRAPH_FILE, REFUSED_SUFFIXES
from forecasting.own_models.errors import HubModelInvalid, RegistryInvalid
from forecasting.own_models.hub_files import checked_files
from forecasting.own_models.manifest import Manifest, ModelEntry, PromotionSet, manifest_json, parsed_manifest

MANIFEST_FILE, LOCK_FILE = "registry.json", ".lock"
LARGEST_MANIFEST_BYTES = 64 * 2**20
#: Promotion sets that can be gone back to, and models kept that none of them names.
SETS_KEPT = 20
SPARE_MODELS = 4


def read_registry(folder: Path) -> Manifest:
    """What the registry holds; raises `RegistryInvalid` where there is none, or it is not ours."""
    path = folder / MANIFEST_FILE
    try:
        if path.stat().st_size > LARGEST_MANIFEST_BYTES:
            raise RegistryInvalid(f"{path} is too large to be a registry's manifest")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RegistryInvalid(f"{folder} holds no models yet: train some with `foresail train`") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RegistryInvalid(f"{path} cannot be read: {error}") from error
    return parsed_manifest(text, str(path))


def exists(folder: Path) -> bool:
    """Whether there is a registry to read."""
    return (folder / MANIFEST_FILE).exists()


def model_folder(folder: Path, entry: ModelEntry) -> Path:
    """Where a model's files are, all of them checked; raises `RegistryInvalid` unless they are what was registered."""
    if entry.hub_folder is not None:
        return _hub_folder(Path(entry.hub_folder), entry)
    own = folder / entry.id
    if not own.is_dir():
        raise RegistryInvalid(f"{own} is missing: restore it, or take its model out with `foresail models remove`")
    for path in sorted(own.iterdir()):
        if path.suffix.lower() in REFUSED_SUFFIXES:
            raise RegistryInvalid(f"{path} is refused: models are ONNX and JSON, never pickles or checkpoints")
    for name, sha256 in entry.files.items():
        path = own / name
        if not path.is_file() or sha256_of(path) != sha256:
            raise RegistryInvalid(f"{path} is missing or was changed: restore it, or train again")
    return own


def problems(folder: Path, manifest: Manifest) -> dict[str, str]:
    """What is wrong with models that are promoted now, by their names; the default stands in for these."""
    found = {}
    for model_id in sorted(set(manifest.promoted.values())):
        try:
            model_folder(folder, manifest.model(model_id))
        except RegistryInvalid as error:
            found[model_id] = str(error)
    return found


def model_files(folder: Path) -> dict[str, str]:
    """Names and checksums of a model's files, as an entry holds them."""
    return {name: sha256_of(folder / name) for name in (GRAPH_FILE, CARD_FILE)}


def free_id(folder: Path, wanted: str) -> str:
    """`wanted`, or with a number where the registry has that already."""
    taken = {model.id for model in read_registry(folder).models} if exists(folder) else set()
    candidates = (wanted, *(f"{wanted}-{number}" for number in range(2, len(taken) + 3)))
    return next(one for one in candidates if one not in taken and not (folder / one).exists())


def registered(
    folder: Path, new: Sequence[ModelEntry], trained: Mapping[str, Path], signals: Mapping[str, str], made_at: str
) -> Manifest:
    """The registry with `new` models, whose folders are moved here from `trained`, and `signals` promoted.

    `signals` replaces the active set. What no kept set needs any more is removed.
    """
    with _writing(folder):
        before = read_registry(folder) if exists(folder) else Manifest()
        for model in new:
            if model.id in trained:
                shutil.move(trained[model.id], folder / model.id)
        number = max((one.number for one in before.sets), default=0) + 1
        added = PromotionSet(number, made_at, dict(signals), before.active)
        after = replace(before, models=(*before.models, *new), sets=(*before.sets, added), active=number)
        return _tidied(folder, after)


def rolled_back(folder: Path, to: int | None = None) -> Manifest:
    """The registry with promotion set `to` active, or the one that was active before the present one.

    Raises `RegistryInvalid` where there is none, or one of its models cannot be served any more.
    """
    with _writing(folder):
        manifest = read_registry(folder)
        if to is None and manifest.active is None:
            raise RegistryInvalid("nothing is promoted, so there is nothing to go back from")
        target = to if to is not None else manifest.set_numbered(manifest.active or 0).before
        if target is not None:
            for model_id in set(manifest.set_numbered(target).signals.values()):
                model_folder(folder, manifest.model(model_id))
        after = replace(manifest, active=target)
        _write(folder, after)
        return after


def removed(folder: Path, model_id: str) -> Manifest:
    """The registry without a model; sets of the past lose it, and the default takes its place there.

    Raises `RegistryInvalid` for a model that is promoted now, or that there is not.
    """
    with _writing(folder):
        manifest = read_registry(folder)
        manifest.model(model_id)
        if model_id in manifest.promoted.values():
            raise RegistryInvalid(f"{model_id} is in use: go back first with `foresail models rollback`")
        sets = tuple(
            replace(one, signals={signal: model for signal, model in one.signals.items() if model != model_id})
            for one in manifest.sets
        )
        after = replace(manifest, models=tuple(one for one in manifest.models if one.id != model_id), sets=sets)
        _write(folder, after)
        shutil.rmtree(folder / model_id, ignore_errors=True)
        return after


def _hub_folder(own: Path, entry: ModelEntry) -> Path:
    try:
        found = checked_files(own)
    except HubModelInvalid as error:
        raise RegistryInvalid(str(error)) from error
    if found != dict(entry.files):
        raise RegistryInvalid(f"{own} was changed since it was judged: judge it again with `foresail train --hub`")
    return own


def _tidied(folder: Path, manifest: Manifest) -> Manifest:
    """Writes the manifest without what is too old, then removes the folders of what it no longer names."""
    sets = manifest.sets[-SETS_KEPT:]
    numbers = {one.number for one in sets}
    sets = tuple(one if one.before in numbers else replace(one, before=None) for one in sets)
    needed = {model for one in sets for model in one.signals.values()}
    spare = {model.id for model in manifest.models[-SPARE_MODELS:]}
    kept = tuple(model for model in manifest.models if model.id in needed | spare)
    after = replace(manifest, models=kept, sets=sets)
    _write(folder, after)
    for model in manifest.models:
        if model not in kept:
            shutil.rmtree(folder / model.id, ignore_errors=True)
    return after


def _write(folder: Path, manifest: Manifest) -> None:
    temporary = folder / f"{MANIFEST_FILE}.new"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(manifest_json(manifest))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / MANIFEST_FILE)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """One writer at a time; raises `RegistryInvalid` where another is at work."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RegistryInvalid(f"{folder} is being written by another command: try again when it is done") from None
        yield
