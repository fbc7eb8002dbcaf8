"""An image as one file, the kind that `docker load` and `ctr images import` read: equal contents give equal bytes."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_COPY_BYTES = 1 << 20
#: Written by installers with paths or times in them; nothing reads them at run time.
_NOT_CONTENT = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")


class ImageInvalid(ValueError):
    """What shall go into the image is not there or clashes; the message names it."""


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """How a container of the image starts, where its pod does not say otherwise."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""  # uid:gid, as numbers, so that a cluster can see that it is not root's
    folder: str = ""


def write_layer(target: Path, contents: Mapping[str, Path]) -> None:
    """One layer of files: each key is an absolute path in the image, each value a file or a folder of this machine.

    All belong to root, were changed at no time in particular, and can be read by everyone. Raises `ImageInvalid`.
    """
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as layer:
        for place, source in sorted(contents.items()):
            if not place.startswith("/"):
                raise ImageInvalid(f"{place}: a path in an image begins with /")
            if not source.exists():
                raise ImageInvalid(f"{source}: not there, and meant to be {place}")
            layer.add(source, place.lstrip("/"), filter=_without_circumstance)  # folders are walked in sorted order


def write_image(target: Path, name: str, layers: tuple[Path, ...], settings: ImageSettings) -> str:
    """Writes the archive; returns the digest of its configuration, which is the image's identity.

    `name` is NAME:TAG. Layers are tar files, the lowest first. The file appears only when it is whole.
    """
    digests = [_digest(layer) for layer in layers]
    configuration = _configuration(digests, settings)
    identity = hashlib.sha256(configuration).hexdigest()
    manifest = [
        {"Config": f"{identity}.json", "RepoTags": [name], "Layers": [f"{digest}/layer.tar" for digest in digests]}
    ]
    unfinished = target.with_name(f".{target.name}.unfinished")
    with tarfile.open(unfinished, "w", format=tarfile.PAX_FORMAT) as archive:
        _add_bytes(archive, "manifest.json", json.dumps(manifest).encode())
        _add_bytes(archive, f"{identity}.json", configuration)
        for digest, layer in dict(zip(digests, layers, strict=True)).items():
            archive.add(layer, f"{digest}/layer.tar", filter=_without_circumstance)
    unfinished.replace(target)
    return identity


def image_names(archive: Path) -> tuple[str, ...]:
    """The names that an archive gives its images. Raises `ImageInvalid` when it is none."""
    try:
        with tarfile.open(archive) as opened:
            member = opened.extractfile("manifest.json")
            entries = json.loads(member.read()) if member else []
        return tuple(_names_in(entries))
    except (OSError, tarfile.TarError, KeyError, ValueError, TypeError):
        raise ImageInvalid(
            f"{archive}: not an archive of images, as `docker save` or `foresail cluster image` write"
        ) from None


def _names_in(entries: list[Mapping[str, list[str]]]) -> Iterator[str]:
    for entry in entries:
        yield from entry["RepoTags"] or ()


def _configuration(digests: list[str], settings: ImageSettings) -> bytes:
    environment = {"PATH": _PATHS, **settings.environment}
    container: dict[str, object] = {"Env": [f"{name}={value}" for name, value in environment.items()]}
    for field_name, value in (
        ("Entrypoint", list(settings.entrypoint)),
        ("Cmd", list(settings.command)),
        ("User", settings.user),
        ("WorkingDir", settings.folder),
    ):
        if value:
            container[field_name] = value
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "config": container,
        }
    ).encode()


def _without_circumstance(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leaves out what differs from one build to the next, and what only an installer wanted."""
    name = Path(entry.name)
    if name.name == "__pycache__" or name.suffix == ".pyc":
        return None
    if name.parent.name.endswith(".dist-info") and name.name in _NOT_CONTENT:
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.mode |= 0o555 if entry.isdir() or entry.mode & 0o100 else 0o444
    entry.mode &= 0o755
    return entry


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _digest(file: Path) -> str:
    if not file.is_file():
        raise ImageInvalid(f"{file}: not there, and meant to be a layer")
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(_COPY_BYTES):
            digest.update(block)
    return digest.hexdigest()
