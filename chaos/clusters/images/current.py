"""The project's own images as the sources are now: built when what they are made of has changed, kept otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from chaos.clusters.images import archive, debian, recipes, wheels
from chaos.clusters.images.recipes import REQUIREMENTS, Recipe, build_image
from chaos.clusters.images.wheels import folder_of

_MAKERS = (archive, debian, recipes, wheels)


def current_image(recipe: Recipe, cache: Path) -> Path:
    """The archive in the cache, built anew unless it was built from just these sources.

    Raises `ImageInvalid` or `ClusterFailed`.
    """
    kept, stamp = cache / f"{recipe.name}.tar", cache / f"{recipe.name}.sources"
    key = sources_key(recipe)
    if not kept.is_file() or not stamp.is_file() or stamp.read_text(encoding="utf-8") != key:
        stamp.unlink(missing_ok=True)  # a build that is killed leaves an archive that nothing vouches for
        build_image(recipe, cache)
        stamp.write_text(key, encoding="utf-8")
    return kept


def sources_key(recipe: Recipe) -> str:
    """Names the content of everything of this repository that goes into the image, and how it is put together."""
    digest = hashlib.sha256(repr((recipe, recipe.tag)).encode())
    for file in _files(recipe):
        content = file.read_bytes()
        digest.update(f"\n{file.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _files(recipe: Recipe) -> Iterator[Path]:
    for maker in _MAKERS:
        yield Path(maker.__file__ or "")
    if recipe.lock:
        yield REQUIREMENTS / recipe.lock
    for package in recipe.sources:
        yield from sorted(file for file in folder_of(package).rglob("*") if _goes_in(file))


def _goes_in(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts
