"""Bringing the programs: Debian packages where they fit, and pinned Go modules for the rest, compiled once."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.folders import ClusterFolders
from chaos.clusters.processes import needs_root, run
from chaos.clusters.programs import (
    DEBIAN_PACKAGES,
    PINS,
    PROGRAMS,
    Program,
    module_version,
    pins_key,
    programs_folder,
)

_COMPILE_LIMIT_S = 3600.0
_INSTALL_LIMIT_S = 1200.0
_SETS_KEPT = 2


@dataclass(frozen=True, slots=True)
class Built:
    name: str
    seconds: float
    size_mb: float


def build_programs(
    folders: ClusterFolders,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    *,
    with_optional: bool = True,
    compilers: int | None = None,
) -> tuple[Built, ...]:
    """Installs and compiles what is missing, and nothing else; returns what was compiled. Raises `ClusterFailed`.

    A build that was killed goes on where it was. `compilers` limits how many packages are compiled at a time.
    """
    _install_packages(say)
    target = programs_folder(folders)
    wanted = [program for program in PROGRAMS if with_optional or not program.optional]
    built = compile_missing(wanted, PINS, target, environment, say, compilers)
    _forget_old_sets(folders)
    return built


def compile_missing(
    programs: Sequence[Program],
    pins: Path,
    target: Path,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    compilers: int | None = None,
) -> tuple[Built, ...]:
    """Compiles, by the pins in their folders of `pins`, what `target` has not yet. Raises `ClusterFailed`."""
    target.mkdir(parents=True, exist_ok=True)
    os.utime(target)
    built = []
    for program in programs:
        if (target / program.name).is_file():
            continue
        begun_s = time.monotonic()
        _compile(program, pins / program.folder, target, environment, compilers)
        size_mb = (target / program.name).stat().st_size / 1e6
        built.append(Built(program.name, time.monotonic() - begun_s, size_mb))
        say(f"{program.name:<24} {built[-1].seconds:6.0f} s {size_mb:5.0f} MB")
    return tuple(built)


def compile_command(program: Program, target: Path, version: str) -> tuple[str, ...]:
    """The compiler's command line; without paths, times and debug data in the result, equal pins give equal bytes."""
    minor = version.split(".")[1] if version.count(".") >= 2 else ""
    stamp = program.stamp.format(
        version=version.lstrip("v") if program.folder == "prometheus" else version,
        number=version.lstrip("v"),
        minor=minor,
    )
    return (
        "go",
        "build",
        "-trimpath",
        "-buildvcs=false",
        *(("-tags", program.tags) if program.tags else ()),
        "-ldflags",
        f"-s -w {stamp}".rstrip(),
        "-o",
        str(target / program.name),
        program.package,
    )


def _compile(
    program: Program, source: Path, target: Path, environment: Mapping[str, str], compilers: int | None
) -> None:
    go_mod = (source / "go.mod").read_text(encoding="utf-8")
    version = module_version(program.module, go_mod) if program.module else ""
    unfinished = target / ".unfinished"
    unfinished.mkdir(exist_ok=True)
    settings = {**environment, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    if compilers is not None:
        settings["GOFLAGS"] = f"{environment.get('GOFLAGS', '')} -p={compilers}".strip()
    if shutil.which("go", path=environment.get("PATH")) is None:
        raise ClusterFailed(f"go is not installed: install Go {_go_wanted()} or newer")
    run(
        *compile_command(program, unfinished, version),
        folder=source,
        environment=settings,
        limit_s=_COMPILE_LIMIT_S,
    )
    # The name appears only with the whole program behind it.
    (unfinished / program.name).rename(target / program.name)


def _go_wanted() -> str:
    lines = (PINS / "go.work").read_text(encoding="utf-8").splitlines()
    return next(line.split()[1] for line in lines if line.startswith("go "))


def _install_packages(say: Callable[[str], None]) -> None:
    missing = [package for package, file in DEBIAN_PACKAGES.items() if not Path(file).exists()]
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise ClusterFailed(f"missing: {', '.join(missing)}; this system has no apt-get: install them in its own way")
    needs_root("installing packages")
    say(f"installing {' '.join(missing)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-qq", environment=quiet, limit_s=_INSTALL_LIMIT_S)
    install = ("apt-get", "install", "-qq", "-y", "--no-install-recommends")
    with _no_service_starts():
        run(*install, *missing, environment=quiet, limit_s=_INSTALL_LIMIT_S)


class _no_service_starts:
    """While packages are installed: their daemons shall not run on this machine, only in clusters."""

    policy = Path("/usr/sbin/policy-rc.d")

    def __enter__(self) -> None:
        self.ours = not self.policy.exists()
        if self.ours:
            self.policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
            self.policy.chmod(0o755)

    def __exit__(self, *_: object) -> None:
        if self.ours:
            self.policy.unlink(missing_ok=True)


def _forget_old_sets(folders: ClusterFolders) -> None:
    """Programs of older pins go, but for the one before, which another branch may use."""
    sets = sorted(folders.programs.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
    current = pins_key()
    others = [folder for folder in sets if folder.name != current]
    for folder in others[_SETS_KEPT - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)
