"""A cluster that kind runs in Docker containers, with faults by Docker's own means.

It does less than the bare cluster: no metrics-server and no Prometheus of its own, limits of memory and processors are
not set, and a cut zone is one whose nodes are each cut off.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.cluster import ClusterFailed, MachineState
from chaos.clusters.folders import ClusterFolders
from chaos.clusters.forwards import ForwarderProcess, forward, listen
from chaos.clusters.kind.configuration import container_name, control_plane_container, kind_configuration, network_name
from chaos.clusters.plan import ClusterPlan, NodePlace
from chaos.clusters.processes import Word, needs_root, wait_until
from chaos.clusters.zones import on_each, place_named

_UP_LIMIT_S = 900.0
_API_LIMIT_S = 180.0
#: Explicit, so that a node can have its own address again after a cut; Docker allows that in no other network.
SUBNET = "172.31.248.0/24"
_NETWORK_VARIABLE = "KIND_EXPERIMENTAL_DOCKER_NETWORK"
_INSIDE_KUBECONFIG = "/etc/kubernetes/admin.conf"

#: Runs a program to its end and returns what it wrote; `processes.run` is one.
Runner = Callable[..., str]


@dataclass(frozen=True, slots=True)
class KindCluster:
    """Implements `chaos.clusters.cluster.Cluster`."""

    plan: ClusterPlan
    folders: ClusterFolders
    run: Runner
    say: Callable[[str], None]

    @property
    def kubeconfig(self) -> Path:
        return self._state / "kubeconfig"

    def places(self) -> tuple[NodePlace, ...]:
        return self.plan.places()

    def up(self) -> None:
        containers = self._containers()
        if containers and all(running for running in containers.values()) and self.kubeconfig.exists():
            self.say("already up")
            return
        self.down()
        self._state.mkdir(parents=True)
        configuration = self._state / "kind.yaml"
        configuration.write_text(kind_configuration(self.plan), encoding="ascii")
        self.run("docker", "network", "create", "--driver=bridge", f"--subnet={SUBNET}", network_name(self.plan))
        self.run(
            *("kind", "create", "cluster", f"--name={self.plan.name}", f"--config={configuration}"),
            *(f"--kubeconfig={self.kubeconfig}", "--wait=5m"),
            environment={**os.environ, _NETWORK_VARIABLE: network_name(self.plan)},
            limit_s=_UP_LIMIT_S,
        )
        (self._state / "addresses.json").write_text(json.dumps(self._addresses()), encoding="ascii")
        for image in self.plan.images:
            self.load_image(image)

    def down(self) -> None:
        if self._containers():
            self.run("kind", "delete", "cluster", f"--name={self.plan.name}", f"--kubeconfig={self.kubeconfig}")
        named = self.run("docker", "network", "ls", "--format={{.Name}}", f"--filter=name={network_name(self.plan)}")
        if network_name(self.plan) in named.split():
            self.run("docker", "network", "rm", network_name(self.plan))
        for file in self._state.glob("*"):
            file.unlink()
        if self._state.exists():
            self._state.rmdir()

    def status(self) -> tuple[MachineState, ...]:
        running = self._containers()
        if not running:
            return ()
        joined = self._joined()
        hub = control_plane_container(self.plan)
        states = [MachineState("control-plane", None, running.get(hub, False), hub in joined)]
        for place in self.places():
            name = container_name(self.plan, place.name)
            powered = running.get(name, False)
            # Docker lists a network's running containers only.
            states.append(MachineState(place.name, place.zone, powered, name in joined if powered else None))
        return tuple(states)

    def load_image(self, archive: Path) -> None:
        self.run("kind", "load", "image-archive", archive, f"--name={self.plan.name}", limit_s=_UP_LIMIT_S)

    def kill_node(self, node: str) -> None:
        container = self._container(node)
        if self._containers().get(container):
            self.run("docker", "kill", container)

    def start_node(self, node: str) -> None:
        self.run("docker", "start", self._container(node))

    def cut_node(self, node: str) -> None:
        container = self._container(node)
        if container in self._joined():
            self.run("docker", "network", "disconnect", network_name(self.plan), container)

    def heal_node(self, node: str) -> None:
        container = self._container(node)
        if container in self._joined():
            return
        address = json.loads((self._state / "addresses.json").read_text(encoding="ascii"))[container]
        self.run("docker", "network", "connect", f"--ip={address}", network_name(self.plan), container)

    def kill_zone(self, zone: str) -> None:
        on_each(self.places(), zone, self.kill_node)

    def start_zone(self, zone: str) -> None:
        on_each(self.places(), zone, self.start_node)

    def cut_zone(self, zone: str) -> None:
        on_each(self.places(), zone, self.cut_node)

    def heal_zone(self, zone: str) -> None:
        on_each(self.places(), zone, self.heal_node)

    def hang_program(self, program: str) -> None:
        self.run("docker", "exec", control_plane_container(self.plan), "pkill", "-STOP", "-x", program)

    def resume_program(self, program: str) -> None:
        self.run("docker", "exec", control_plane_container(self.plan), "pkill", "-CONT", "-x", program)

    def restart_api_server(self) -> None:
        """The kubelet of the control plane starts it again."""
        inside = ("docker", "exec", control_plane_container(self.plan))
        ended = self.run(*inside, "pgrep", "-o", "kube-apiserver").strip()
        self.run(*inside, "kill", "-KILL", ended)

        def another() -> bool:
            return self.run(*inside, "pgrep", "-o", "kube-apiserver").strip() not in ("", ended)

        def ready() -> bool:
            asked = (f"--kubeconfig={_INSIDE_KUBECONFIG}", "get", "--raw", "/readyz")
            return self.run(*inside, "kubectl", *asked).strip() == "ok"

        wait_until("another API server", another, _API_LIMIT_S)
        wait_until("the API server", ready, _API_LIMIT_S)

    def execute(self, command: Sequence[str]) -> int:
        """In the control plane's container, with the programs that are in it."""
        inside = ["docker", "exec", "-i", "-e", f"KUBECONFIG={_INSIDE_KUBECONFIG}", control_plane_container(self.plan)]
        return subprocess.run([*inside, *command], check=False).returncode

    def forward(self, address: str, port: int = 0) -> ForwarderProcess:
        """Works where Docker's containers are processes of this machine."""
        needs_root("a forward into a container")
        pid = self.run("docker", "inspect", "--format={{.State.Pid}}", control_plane_container(self.plan)).strip()
        if not Path(f"/proc/{pid}/ns/net").exists():
            raise ClusterFailed("the control plane's container is no process of this machine: use kubectl port-forward")
        return forward(listen(port), Path(f"/proc/{pid}/ns/net"), address, self._state / "forward.log")

    @property
    def _state(self) -> Path:
        return self.folders.kind_state(self.plan.name)

    def _container(self, node: str) -> str:
        return container_name(self.plan, place_named(self.places(), node).name)

    def _containers(self) -> dict[str, bool]:
        """The cluster's containers, and whether each runs."""
        label = f"--filter=label=io.x-k8s.kind.cluster={self.plan.name}"
        lines = self.run("docker", "ps", "--all", label, "--format={{.Names}} {{.State}}").splitlines()
        return {name: state == "running" for name, _, state in (line.partition(" ") for line in lines)}

    def _joined(self) -> set[str]:
        listed = self.run("docker", "network", "inspect", network_name(self.plan))
        return {facts["Name"] for facts in json.loads(listed)[0]["Containers"].values()}

    def _addresses(self) -> dict[str, str]:
        listed = json.loads(self.run("docker", "network", "inspect", network_name(self.plan)))
        return {facts["Name"]: facts["IPv4Address"].partition("/")[0] for facts in listed[0]["Containers"].values()}


def docker_answers(run: Runner) -> bool:
    """Whether kind is installed and an engine is there to run containers."""
    words: tuple[tuple[Word, ...], ...] = (("kind", "version"), ("docker", "version", "--format={{.Server.Version}}"))
    try:
        for command in words:
            run(*command, limit_s=15.0)
    except ClusterFailed:
        return False
    return True
