"""The image that holds every pod's namespaces: one program, built with the others."""

from __future__ import annotations

from pathlib import Path

from chaos.clusters.images.archive import ImageSettings, write_image, write_layer

NAME = "local/pause:1"  # as containerd's configuration names it


def pause_image(images: Path, programs: Path) -> Path:
    """Its archive, written when it is not there or older than the program."""
    archive, program = images / "pause.tar", programs / "pause"
    if archive.exists() and archive.stat().st_mtime >= program.stat().st_mtime:
        return archive
    images.mkdir(parents=True, exist_ok=True)
    layer = images / ".pause.layer"
    write_layer(layer, {"/pause": program})
    write_image(archive, NAME, (layer,), ImageSettings(entrypoint=("/pause",)))
    layer.unlink()
    return archive
