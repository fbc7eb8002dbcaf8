"""The programs that a cluster is made of: what they are built from, and whether they are built."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.folders import ClusterFolders

PINS = Path(__file__).parent / "tools"
_PINNING = ("go.mod", "go.sum", "go.work", "go.work.sum")
_KUBERNETES = "k8s.io/kubernetes"
_VERSION_OF_KUBERNETES = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True)
class Program:
    """One program: a package of a pinned module, compiled in a folder of `tools`."""

    name: str
    folder: str
    package: str
    tags: str = ""
    stamp: str = ""  # linker flags; {version}, {number} (it without v) and {minor} are those of `module`
    module: str = ""
    optional: bool = False  # a cluster comes up without it


def _kubernetes(name: str) -> Program:
    stamps = {"gitVersion": "{version}", "gitMajor": "1", "gitMinor": "{minor}", "gitTreeState": "clean"}
    stamp = " ".join(f"-X {_VERSION_OF_KUBERNETES}.{field}={value}" for field, value in stamps.items())
    return Program(name, "kubernetes", f"{_KUBERNETES}/cmd/{name}", stamp=stamp, module=_KUBERNETES)


def _prometheus(name: str) -> Program:
    return Program(
        name,
        "prometheus",
        f"github.com/prometheus/prometheus/cmd/{name}",
        # Debian's knows no discovery by Kubernetes; this one knows no other, and so none of the clouds' clients.
        tags="remove_all_sd,enable_kubernetes_sd,enable_dns_sd",
        stamp="-X github.com/prometheus/common/version.Version={version}",
        module="github.com/prometheus/prometheus",
        optional=True,
    )


PROGRAMS = (
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kubelet"),
    _kubernetes("kube-proxy"),
    _kubernetes("kubectl"),
    Program("etcd", "kubernetes", "go.etcd.io/etcd/server/v3"),
    Program("pause", "pause", "."),
    Program("coredns", "coredns", "."),
    Program("metrics-server", "metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server"),
    _prometheus("prometheus"),
    _prometheus("promtool"),
)

#: What Debian has in a fitting version, by a file that tells that the package is there.
DEBIAN_PACKAGES = {
    "containerd": "/usr/bin/containerd",
    "runc": "/usr/sbin/runc",
    "containernetworking-plugins": "/usr/lib/cni/bridge",
    "iptables": "/usr/sbin/iptables",
    "iproute2": "/usr/sbin/ip",
    "openssl": "/usr/bin/openssl",
    "mmdebstrap": "/usr/bin/mmdebstrap",
}


def pins_key(pins: Path = PINS, compiled: object = PROGRAMS) -> str:
    """Names the content of everything that is compiled: the pins, our own sources, and how they are compiled."""
    digest = hashlib.sha256(repr(compiled).encode())
    for file in sorted(path for path in pins.rglob("*") if path.name in _PINNING or path.suffix == ".go"):
        digest.update(f"\n{file.relative_to(pins)}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def programs_folder(folders: ClusterFolders, pins: Path = PINS) -> Path:
    return folders.programs / pins_key(pins)


def missing_programs(folders: ClusterFolders, *, with_optional: bool) -> tuple[str, ...]:
    """What has to be built or installed before a cluster can come up; empty when nothing has."""
    built = programs_folder(folders)
    wanted = [program.name for program in PROGRAMS if with_optional or not program.optional]
    return (
        *(name for name in wanted if not (built / name).is_file()),
        *(package for package, file in DEBIAN_PACKAGES.items() if not Path(file).exists()),
    )


def ready_programs(folders: ClusterFolders, *, with_optional: bool) -> Path:
    """The folder of the programs. Raises `ClusterFailed` naming what is missing and how it comes."""
    missing = missing_programs(folders, with_optional=with_optional)
    if missing:
        raise ClusterFailed(
            f"missing: {', '.join(missing)}. Run `foresail cluster build` (once; 10 minutes on 2 cores)"
        )
    return programs_folder(folders)


def module_version(module: str, go_mod: str) -> str:
    """The version that a go.mod requires of a module. Raises `ClusterFailed`."""
    for line in go_mod.splitlines():
        words = line.removeprefix("require ").split()
        if len(words) >= 2 and words[0] == module:
            return words[1]
    raise ClusterFailed(f"go.mod does not require {module}: `go get -tool` it there")
