"""Files of `config`, with the names between @ signs filled in."""

from __future__ import annotations

from pathlib import Path

_TEMPLATES = Path(__file__).with_name("config")


def filled_in(name: str, folder: Path, **values: object) -> Path:
    """Writes the file into the folder; returns where it is."""
    text = (_TEMPLATES / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    target = folder / name
    target.write_text(text, encoding="utf-8")
    return target


def template(name: str) -> Path:
    return _TEMPLATES / name
