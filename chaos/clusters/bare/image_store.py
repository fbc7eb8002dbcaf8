"""Disks with images on them: each set of archives is imported once, and every node shares the result by links."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.processes import run, wait_until

_CONTENT = "io.containerd.content.v1.content/blobs/sha256"
_LAYERS = "io.containerd.snapshotter.v1.overlayfs/snapshots"
#: What containerd writes to; each node has its own.
_BOOKS = ("io.containerd.metadata.v1.bolt/meta.db", "io.containerd.snapshotter.v1.overlayfs/metadata.db")
_STORES_KEPT = 3
_SOCKET_PATH_LIMIT = 100  # of 107 that the kernel takes
_IMPORT_LIMIT_S = 900.0


def store_key(archives: Iterable[Path]) -> str:
    """Names a set of archives by their names, sizes and times; a file written anew makes another set."""
    facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in archives]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def image_store(stores: Path, archives: Sequence[Path], in_use: Iterable[str] = ()) -> Path:
    """containerd's data folder with these archives imported; made at most once, then kept.

    The oldest stores go, but for those `in_use`. Raises `ClusterFailed`.
    """
    stores.mkdir(parents=True, exist_ok=True)
    _remove_unfinished(stores)
    store = stores / store_key(archives)
    if not store.exists():
        unfinished = stores / f".{os.getpid()}"
        try:
            _import(unfinished, archives)
            (unfinished / "root").rename(store)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    os.utime(store)
    _forget_oldest(stores, {store.name, *in_use})
    return store


def clone_store(store: Path, target: Path) -> None:
    """A data folder that shares the store's blobs and layers, which nothing ever writes to."""
    for shared in (_CONTENT, _LAYERS):
        (target / shared).mkdir(parents=True)
        for item in (store / shared).iterdir():
            (target / shared / item.name).symlink_to(item)
    for book in _BOOKS:
        (target / book).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(store / book, target / book)


def _import(folder: Path, archives: Sequence[Path]) -> None:
    folder.mkdir()
    socket = folder / "socket"
    if len(str(socket)) > _SOCKET_PATH_LIMIT:
        raise ClusterFailed(f"{socket}: too long for a socket's path: set XDG_CACHE_HOME to a shorter one")
    configuration = folder / "config.toml"
    configuration.write_text(store_configuration(folder), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        # It ends with us, even when we are killed, and its mounts with it.
        containerd = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "containerd", "-c", str(configuration)],
            stdout=log,
            stderr=log,
        )
    try:
        client = ("ctr", "--address", str(socket), "--namespace", "k8s.io")
        wait_until("containerd", lambda: run(*client, "version"), 60.0)
        for archive in archives:
            run(*client, "images", "import", archive, limit_s=_IMPORT_LIMIT_S)
    finally:
        containerd.terminate()
        containerd.wait()


def store_configuration(folder: Path) -> str:
    return (
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{folder}/socket"\n'
        f'[plugins."io.containerd.internal.v1.opt"]\npath = "{folder}/opt"\n'
    )


def _remove_unfinished(stores: Path) -> None:
    """What importers left that were killed; their folders are named after their process ids."""
    for folder in stores.glob(".*"):
        if folder.name[1:].isdigit() and not Path(f"/proc/{folder.name[1:]}").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _forget_oldest(stores: Path, kept: set[str]) -> None:
    finished = [folder for folder in stores.iterdir() if not folder.name.startswith(".")]
    finished.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in finished[_STORES_KEPT:]:
        if folder.name not in kept:
            shutil.rmtree(folder, ignore_errors=True)
