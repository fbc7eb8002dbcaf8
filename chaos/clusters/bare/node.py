"""One node: its machine, its disk with images, its cable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.bare.addresses import PREFIX_LENGTH, SERVICES, node_address, pod_network
from chaos.clusters.bare.cgroups import make_cgroup
from chaos.clusters.bare.control_plane import ControlPlane
from chaos.clusters.bare.image_store import clone_store
from chaos.clusters.bare.machine import Machine
from chaos.clusters.bare.node_services import IMAGES_LOADED, node_services
from chaos.clusters.bare.site import CGROUPS
from chaos.clusters.plan import NodePlace
from chaos.clusters.processes import run, wait_until

_BOOT_LIMIT_S = 180.0
_IMPORT_LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Node:
    machine: Machine
    place: NodePlace
    hub: ControlPlane

    @property
    def number(self) -> int:
        return int(self.place.name.rpartition("-")[2])

    @property
    def address(self) -> str:
        return node_address(self.number)

    @property
    def cable(self) -> str:
        return self.place.name

    def make(self, store: Path) -> None:
        """The node without power; its disk shares what the store holds."""
        machine, pods = self.machine, pod_network(self.number)
        machine.make()
        clone_store(store, machine.folder / "containerd")
        self.hub.plug_in(self.cable, self.place.zone, self.address, pods, machine.namespace)
        machine.ip("addr", "add", f"{self.address}/{PREFIX_LENGTH}", "dev", "eth0")
        machine.set_kernel("net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1")
        self.connect()
        machine.install(node_services(machine.site, self.place, machine.folder, self.address, pods))

    def connect(self) -> None:
        """Plugs the cable in, and sets the routes, which an interface loses when it goes down."""
        ip = self.machine.ip
        self.hub.connect(self.cable)
        ip("link", "set", "eth0", "up")
        ip("route", "replace", SERVICES, "dev", "eth0")  # asked before the proxy's rules, never used
        for number in range(1, self.machine.site.plan.nodes + 1):
            if number != self.number:
                ip("route", "replace", pod_network(number), "via", node_address(number))

    def disconnect(self) -> None:
        self.hub.disconnect(self.cable)

    def boot(self) -> None:
        """Power, container runtime, images loaded since the cluster came up; the kubelet only then."""
        if self.machine.processes():
            return
        make_cgroup(CGROUPS, self.machine.site.cgroup(self.place.name))
        self.machine.power_on()
        wait_until(f"containerd of {self.place.name}", lambda: self._containerd("version"), _BOOT_LIMIT_S)
        for archive in sorted(self.machine.site.images.glob("*.tar")):
            self.load_image(archive)
        (self._root() / IMAGES_LOADED.relative_to("/")).touch()

    def load_image(self, archive: Path) -> None:
        """Imports an archive, once for each version of the file."""
        facts = archive.stat()
        done = self.machine.folder / "loaded" / f"{archive.name}.{facts.st_mtime_ns}.{facts.st_size}"
        if not done.exists():
            self._containerd("images", "import", str(archive))
            done.parent.mkdir(exist_ok=True)
            done.touch()

    def _root(self) -> Path:
        """The file system as the machine's own processes see it."""
        return Path(f"/proc/{self.machine.init()}/root")

    def _containerd(self, *words: str) -> str:
        socket = self._root() / "run/containerd/containerd.sock"
        return run("ctr", "--address", socket, "--namespace", "k8s.io", *words, limit_s=_IMPORT_LIMIT_S)
