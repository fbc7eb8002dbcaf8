"""What a folder with a hub model must hold, and what it must not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from forecasting.own_models.card import REFUSED_SUFFIXES
from forecasting.own_models.errors import HubModelInvalid

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
LARGEST_WEIGHTS_BYTES, LARGEST_HEADER_BYTES = 2 * 2**30, 100 * 2**20


def checked_files(folder: Path) -> dict[str, str]:
    """Names and checksums of a hub model's files; raises `HubModelInvalid` for a folder that holds no Chronos-2.

    Both files must be there: darts would download what is missing.
    """
    if not folder.is_dir():
        raise HubModelInvalid(f"{folder} is no folder: download a Chronos-2 model into one")
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in REFUSED_SUFFIXES:
            raise HubModelInvalid(f"{path} is refused: weights are safetensors, never pickles; remove it")
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise HubModelInvalid(f"{folder / name} is missing: download the whole model")
    if (folder / WEIGHTS_FILE).stat().st_size > LARGEST_WEIGHTS_BYTES:
        raise HubModelInvalid(f"{folder / WEIGHTS_FILE} is larger than any hub model that is served")
    try:
        levels = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["chronos_config"]["quantiles"]
        known = [float(level) for level in levels]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HubModelInvalid(f"{folder / CONFIG_FILE} describes no Chronos-2 model: {error!r}") from error
    if known != sorted(known) or not 0.0 < known[0] < 0.5 < known[-1] < 1.0:
        raise HubModelInvalid(f"{folder / CONFIG_FILE} names quantiles that are no rising levels")
    _require_safetensors(folder / WEIGHTS_FILE)
    return {name: _sha256(folder / name) for name in (CONFIG_FILE, WEIGHTS_FILE)}


def _require_safetensors(path: Path) -> None:
    """Raises `HubModelInvalid` unless the file begins as safetensors do: eight bytes of length, then a JSON header."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length <= LARGEST_HEADER_BYTES else None
    except (OSError, ValueError) as error:
        raise HubModelInvalid(f"{path} holds no safetensors: download it again ({type(error).__name__})") from error
    if not isinstance(header, dict):
        raise HubModelInvalid(f"{path} holds no safetensors: download it again")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
