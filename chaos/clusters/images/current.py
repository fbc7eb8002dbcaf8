"""The project's own images as the sources are now: built when what they are made of has changed, kept otherwise."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from pathlib import Path

from chaos.clusters.images import archive, debian, recipes, wheels
from chaos.clusters.images.recipes import REQUIREMENTS, Recipe, build_image
from chaos.clusters.images.wheels import folder_of

_MAKERS = (archive, debian, recipes, wheels)


def current_image(recipe: Recipe, cache: Path, programs: Path | None = None) -> Path:
    """The archive in the cache, built anew unless it was built from just these sources; one builds, others wait.

    `programs`: the folder of the programs that clusters are made of, for recipes that take some.

    Raises `ImageInvalid` or `ClusterFailed`.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f".{recipe.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _built_unless_current(recipe, cache, programs)


def _built_unless_current(recipe: Recipe, cache: Path, programs: Path | None) -> Path:
    kept, stamp = cache / f"{recipe.name}.tar", cache / f"{recipe.name}.sources"
    key = sources_key(recipe, programs)
    if not kept.is_file() or not stamp.is_file() or stamp.read_text(encoding="utf-8") != key:
        stamp.unlink(missing_ok=True)  # a build that is killed leaves an archive that nothing vouches for
        build_image(recipe, cache, programs=programs)
        stamp.write_text(key, encoding="utf-8")
    return kept


def sources_key(recipe: Recipe, programs: Path | None = None) -> str:
    """Names the content of everything of this repository that goes into the image, and how it is put together."""
    # The folder's name stands for what programs are made of.
    made_of = programs.name if recipe.programs and programs is not None else ""
    digest = hashlib.sha256(repr((recipe, recipe.tag, made_of)).encode())
    for place, file in _files(recipe):
        content = file.read_bytes()
        digest.update(f"\n{place} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _files(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    """What the image is made of and by, each with a name that says where it goes."""
    for maker in _MAKERS:
        yield maker.__name__, Path(maker.__file__ or "")
    if recipe.lock:
        yield recipe.lock, REQUIREMENTS / recipe.lock
    for package in recipe.sources:
        folder = folder_of(package)
        for file in sorted(folder.rglob("*")):
            place = f"{package}/{file.relative_to(folder).as_posix()}"
            if file.is_file() and "__pycache__" not in file.parts and not place.startswith(recipe.left_out):
                yield place, file
