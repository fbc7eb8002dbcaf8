"""A layer of Debian packages, from the mirrors that this machine uses."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.processes import needs_root, run

_EPOCH = "1700000000"  # no time of building in the layer
_LIMIT_S = 1200.0
_SOURCES = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources")
#: Nobody reads these in a container.
_LEFT_OUT = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/share/lintian/*",
    "/usr/share/bash-completion/*",
    "/usr/share/zsh/*",
    "*/__pycache__/*",
)


@dataclass(frozen=True, slots=True)
class Account:
    """A user that exists before the packages, which would give it any number."""

    name: str
    number: int
    home: str


@dataclass(frozen=True, slots=True)
class DebianLayer:
    """Essential packages and these, the account, and folders that belong to it."""

    packages: tuple[str, ...]
    account: Account
    own_folders: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()  # written before the packages are installed, and read by them

    def key(self, release: str) -> str:
        """Names all that the layer is made by: another step is another layer."""
        return hashlib.sha256(repr((self.command(release, Path("layer"), ()), _EPOCH)).encode()).hexdigest()[:16]

    def command(self, release: str, target: Path, sources: tuple[str, ...]) -> tuple[str, ...]:
        return (
            # Its mounts are its own: whatever ends it, none stays on this machine.
            *("unshare", "--mount", "mmdebstrap", "--quiet", "--mode=root", "--variant=essential"),
            f"--include={','.join(self.packages)}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
            *(f"--essential-hook={step}" for step in self._before_packages()),
            *(f"--customize-hook={step}" for step in self._after_packages()),
            release,
            str(target),
            *sources,
        )

    def _before_packages(self) -> Iterator[str]:
        account = self.account
        # As text: the program that adds users is no essential package.
        yield f'echo "{account.name}:x:{account.number}:" >>"$1/etc/group"'
        yield f'echo "{account.name}:x:{account.number}:{account.number}::{account.home}:/bin/sh" >>"$1/etc/passwd"'
        for path, content in self.files:
            yield f'mkdir -p "$1{Path(path).parent}" && echo "{content}" >"$1{path}"'

    def _after_packages(self) -> Iterator[str]:
        for folder in self.own_folders:
            own = f'{self.account.number}:{self.account.number} "$1{folder}"'
            yield f'mkdir -p "$1{folder}" && chown {own} && chmod 700 "$1{folder}"'
        # Certificates made up while installing, with their keys and links; nobody asked for them.
        yield 'rm -f "$1"/etc/ssl/private/* "$1"/etc/ssl/certs/ssl-cert-snakeoil.pem'
        yield 'chroot "$1" find -L /etc/ssl/certs -type l -delete'
        # What differs from one run to the next.
        yield (
            'rm -rf "$1"/var/cache/* "$1"/var/log/* "$1"/var/lib/apt/lists/*'
            ' "$1"/etc/machine-id "$1"/etc/hostname "$1"/etc/resolv.conf'
        )


def debian_layer(layer: DebianLayer, cache: Path) -> Path:
    """The layer as a tar file, built once for each list of packages and Debian release. Raises `ClusterFailed`."""
    release = debian_release(Path("/etc/os-release").read_text(encoding="utf-8"))
    target = cache / f"debian-{layer.key(release)}.tar"
    if target.exists():
        return target
    needs_root("an image's Debian layer")
    cache.mkdir(parents=True, exist_ok=True)
    sources = tuple(path for path in _SOURCES if Path(path).exists())
    unfinished = cache / f".debian.{os.getpid()}.tar"
    try:
        run(
            *layer.command(release, unfinished, sources),
            environment={**os.environ, "SOURCE_DATE_EPOCH": _EPOCH},
            limit_s=_LIMIT_S,
        )
        unfinished.rename(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def debian_release(os_release: str) -> str:
    """The code name out of /etc/os-release. Raises `ClusterFailed` on a system that is not Debian."""
    facts = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    if facts.get("ID") != "debian" or "VERSION_CODENAME" not in facts:
        raise ClusterFailed(
            "images are built from Debian's packages, on Debian; elsewhere use Docker and the Dockerfiles"
        )
    return facts["VERSION_CODENAME"].strip('"')
