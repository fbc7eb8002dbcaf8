"""A cluster of plain processes, as a whole."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.bare.addresses import API
from chaos.clusters.bare.api import api_of
from chaos.clusters.bare.certificates import Pki
from chaos.clusters.bare.control_plane import NAME, ControlPlane, uplink
from chaos.clusters.bare.control_plane_services import audit_log
from chaos.clusters.bare.files import template
from chaos.clusters.bare.host import Host
from chaos.clusters.bare.image_store import image_store
from chaos.clusters.bare.machine import Machine
from chaos.clusters.bare.node import Node
from chaos.clusters.bare.pause_image import pause_image
from chaos.clusters.bare.record import Record, read_record, stores_in_use
from chaos.clusters.bare.site import NAMESPACES, Site
from chaos.clusters.bare.teardown import leftovers, remove_everything
from chaos.clusters.cluster import ClusterFailed, MachineState
from chaos.clusters.folders import ClusterFolders
from chaos.clusters.forwards import ForwarderProcess, forward, listen
from chaos.clusters.images.archive import image_names
from chaos.clusters.plan import NodePlace
from chaos.clusters.processes import SYSTEM_PATH, needs_root, run, wait_until
from chaos.clusters.programs import ready_programs
from chaos.clusters.zones import nodes_in, on_each, place_named

_API_LIMIT_S = 180.0
_READY_LIMIT_S = 180.0


@dataclass(frozen=True, slots=True)
class BareCluster:
    """Implements `chaos.clusters.cluster.Cluster`."""

    site: Site
    folders: ClusterFolders
    say: Callable[[str], None]

    @property
    def kubeconfig(self) -> Path:
        return self.site.kubeconfig

    def places(self) -> tuple[NodePlace, ...]:
        return self.site.plan.places()

    def up(self) -> None:
        needs_root("a cluster of plain processes")
        with self._host.alone():
            if self._is_up():
                self.say("already up")
                return
            if leftovers(self.site):
                self.say("removing what a killed `up` left")
                remove_everything(self.site)
            plan = self.site.plan
            ready_programs(self.folders, with_optional=plan.prometheus)
            pause = pause_image(self.folders.images, self.site.programs)
            in_use = stores_in_use(self.folders.clusters)
            store = image_store(self.folders.stores, [pause, *plan.images], in_use)
            self.say("images are ready")
            self._host.prepare()
            self._make(store)
            self._boot(store)

    def down(self) -> None:
        needs_root("a cluster of plain processes")
        with self._host.alone():
            remove_everything(self.site)
            self._host.restore()

    def status(self) -> tuple[MachineState, ...]:
        if not self._hub.machine.folder.exists():
            return ()
        hub = MachineState(NAME, None, bool(self._hub.machine.processes()), True)
        return hub, *(self._state_of(node) for node in self._nodes())

    def load_image(self, archive: Path) -> None:
        self._must_be_up()
        image_names(archive)
        kept = self.site.images / f"{archive.name.removesuffix('.tar')}.tar"
        kept.unlink(missing_ok=True)
        try:
            os.link(archive, kept)
        except OSError:  # on another disk
            kept.write_bytes(archive.read_bytes())
        powered = [node for node in self._nodes() if node.machine.processes()]
        with ThreadPoolExecutor(len(powered) or 1) as workers:
            list(workers.map(lambda node: node.load_image(kept), powered))

    def kill_node(self, node: str) -> None:
        self._node(node).machine.power_off()

    def start_node(self, node: str) -> None:
        self._node(node).boot()

    def cut_node(self, node: str) -> None:
        self._node(node).disconnect()

    def heal_node(self, node: str) -> None:
        self._node(node).connect()

    def kill_zone(self, zone: str) -> None:
        on_each(self.places(), zone, self.kill_node)

    def start_zone(self, zone: str) -> None:
        on_each(self.places(), zone, self.start_node)

    def cut_zone(self, zone: str) -> None:
        """Its nodes still reach each other, as in a data centre that lost its lines."""
        nodes_in(self.places(), zone)
        self._must_be_up()
        self._hub.disconnect(uplink(zone))

    def heal_zone(self, zone: str) -> None:
        nodes_in(self.places(), zone)
        self._must_be_up()
        self._hub.connect(uplink(zone))

    def restart_api_server(self) -> None:
        self._must_be_up()
        machine, name = self._hub.machine, "kube-apiserver"
        ended = machine.find(name)
        os.kill(ended, signal.SIGKILL)
        wait_until("another API server", lambda: machine.find(name) != ended, _API_LIMIT_S)
        wait_until("the API server", api_of(self.site).is_ready, _API_LIMIT_S)

    def hang_program(self, program: str) -> None:
        self._must_be_up()
        os.kill(self._hub.machine.find(program), signal.SIGSTOP)

    def resume_program(self, program: str) -> None:
        self._must_be_up()
        os.kill(self._hub.machine.find(program), signal.SIGCONT)

    @property
    def audit_log(self) -> Path:
        return audit_log(self._hub.machine.folder)

    def execute(self, command: Sequence[str]) -> int:
        self._must_be_up()
        settings = {**os.environ, "KUBECONFIG": str(self.site.inside_kubeconfig)}
        settings["PATH"] = f"{self.site.programs}:{os.environ.get('PATH', SYSTEM_PATH)}"
        entered = ["nsenter", f"--net={NAMESPACES / self._hub.machine.namespace}", *command]
        return subprocess.run(entered, env=settings, check=False).returncode

    def forward(self, address: str, port: int = 0) -> ForwarderProcess:
        self._must_be_up()
        return self._forwarded(listen(port), address)

    def ready_nodes(self) -> frozenset[str]:
        return api_of(self.site).ready_nodes()

    def wait_ready(self, limit_s: float = _READY_LIMIT_S) -> None:
        wanted = {place.name for place in self.places()}
        wait_until(f"{', '.join(sorted(wanted))} to be Ready", lambda: wanted <= self.ready_nodes(), limit_s)

    @property
    def _host(self) -> Host:
        return Host(self.folders.clusters)

    @property
    def _hub(self) -> ControlPlane:
        return ControlPlane(Machine(self.site, NAME))

    def _nodes(self) -> tuple[Node, ...]:
        return tuple(Node(Machine(self.site, place.name), place, self._hub) for place in self.places())

    def _node(self, name: str) -> Node:
        self._must_be_up()
        place = place_named(self.places(), name)
        return Node(Machine(self.site, place.name), place, self._hub)

    def _is_up(self) -> bool:
        """Raises `ClusterFailed` when one of this name is up by another plan."""
        record = read_record(self.site.state)
        if record is None or not record.complete or not self._hub.machine.processes():
            return False
        if record.plan != self.site.plan:
            raise ClusterFailed(f"cluster {self.site.name} is up, and not as asked for now: take it down first")
        return True

    def _must_be_up(self) -> None:
        if not self._hub.machine.folder.exists():
            raise ClusterFailed(f"cluster {self.site.name} is not up: `foresail cluster up`")

    def _make(self, store: Path) -> None:
        """Everything but power. What `up` was killed in the middle of is found by its names."""
        site = self.site
        site.images.mkdir(parents=True)
        Record(site.plan, site.programs, store.name, complete=False).write(site.state)
        with listen() as listener:
            addresses = {node.place.name: node.address for node in self._nodes()}
            Pki(site.pki, site.name).make(addresses, site.kubeconfig, listener.getsockname()[1])
            self._hub.make()
            for node in self._nodes():
                node.make(store)
            self._hub.machine.power_on()
            self._forwarded(listener, API)

    def _boot(self, store: Path) -> None:
        site, api, nodes = self.site, api_of(self.site), self._nodes()
        with ThreadPoolExecutor(len(nodes) + 1) as workers:
            booting = [workers.submit(node.boot) for node in nodes]
            wait_until("the API server", api.is_ready, _API_LIMIT_S)
            self.say("the API server answers")
            site.api_ready.touch()
            booting.append(workers.submit(self._register_metrics))
            for done in booting:
                done.result()
        self.wait_ready()
        wait_until("the controllers", api.takes_pods, _API_LIMIT_S)
        Record(site.plan, site.programs, store.name, complete=True).write(site.state)
        self.say(f"{len(nodes)} nodes are Ready")

    def _register_metrics(self) -> None:
        kubectl = self.site.programs / "kubectl"
        run(kubectl, f"--kubeconfig={self.site.kubeconfig}", "apply", "-f", template("metrics-server.yaml"))

    def _forwarded(self, listener: socket.socket, address: str) -> ForwarderProcess:
        machine = self._hub.machine
        return forward(listener, NAMESPACES / machine.namespace, address, machine.folder / "log" / "forward.log")

    def _state_of(self, node: Node) -> MachineState:
        zone = node.place.zone
        connected = self._hub.is_connected(node.cable) and self._hub.is_connected(uplink(zone))
        return MachineState(node.place.name, zone, bool(node.machine.processes()), connected)
