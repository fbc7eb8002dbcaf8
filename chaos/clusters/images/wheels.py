"""Python packages of a lock file as a folder, and the commands that they bring."""

from __future__ import annotations

import configparser
import importlib.util
import os
import shutil
import sys
from pathlib import Path

from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.images.archive import ImageInvalid
from chaos.clusters.processes import run

PYTHON = "3.11"  # Debian 12's
_PLATFORM = "x86_64-manylinux_2_28"
_LIMIT_S = 1200.0


def install_wheels(lock: Path, target: Path) -> None:
    """Installs what the lock file names, by its hashes, for the image's Python. Raises `ClusterFailed`.

    Tests that packages bring along are left out: they are a fifth of the size.
    """
    if not lock.is_file():
        raise ImageInvalid(f"{lock}: no such lock file")
    shutil.rmtree(target, ignore_errors=True)
    run(
        *(_installer(), "pip", "install", "--quiet", "--target", target, "--requirements", lock, "--require-hashes"),
        *("--python-version", PYTHON, "--python-platform", _PLATFORM, "--only-binary", ":all:"),
        *("--link-mode", "copy"),
        environment=dict(os.environ),
        limit_s=_LIMIT_S,
    )
    shutil.rmtree(target / "bin", ignore_errors=True)  # with this machine's paths in them
    for tests in [path for path in target.glob("*/**/tests") if path.is_dir()]:
        shutil.rmtree(tests)
    (target / ".lock").unlink(missing_ok=True)


def leave_out(packages: Path, patterns: tuple[str, ...]) -> None:
    """Removes what the patterns name. Raises `ImageInvalid` where one names nothing: the wheel has changed then."""
    for pattern in patterns:
        found = list(packages.glob(pattern))
        if not found:
            raise ImageInvalid(f"unused: {pattern} is not among the packages any more")
        for path in found:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def write_scripts(packages: Path, names: tuple[str, ...], own: dict[str, str], target: Path) -> None:
    """Starters of commands, as an installer would make them, for the image's own Python.

    `names` are looked up among the packages' entry points; `own` maps names to module:function. Raises `ImageInvalid`.
    """
    target.mkdir(parents=True, exist_ok=True)
    found = {**entry_points(packages), **own}
    for name in (*names, *own):
        if name not in found:
            raise ImageInvalid(f"no package of the image has a command called {name!r}")
        module, _, function = found[name].partition(":")
        text = f"#!/usr/bin/python3\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        script = target / name
        script.write_text(text, encoding="ascii")
        script.chmod(0o755)


def entry_points(packages: Path) -> dict[str, str]:
    """Commands of all packages in the folder: name to module:function."""
    found: dict[str, str] = {}
    for file in sorted(packages.glob("*.dist-info/entry_points.txt")):
        parser = configparser.ConfigParser(delimiters=("=",))
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # commands keep their case
        parser.read_string(file.read_text(encoding="utf-8"))
        if parser.has_section("console_scripts"):
            found.update(parser.items("console_scripts"))
    return found


def _installer() -> str:
    beside = Path(sys.executable).with_name("uv")
    installer = str(beside) if beside.exists() else shutil.which("uv")
    if installer is None:
        raise ClusterFailed("uv is not installed: `make check` brings it")
    return installer


def folder_of(package: str) -> Path:
    """Where a package of this project lies. Raises `ImageInvalid`."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImageInvalid(f"{package}: not installed, so it cannot go into an image")
    return Path(next(iter(spec.submodule_search_locations)))
