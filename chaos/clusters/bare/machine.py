"""One machine of a cluster: a folder, a network, and, while it has power, an init process in namespaces of its own."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.bare.addresses import CONTROL_PLANE
from chaos.clusters.bare.cgroups import remove_cgroups
from chaos.clusters.bare.site import CGROUPS, NAMESPACES, Site
from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.processes import SYSTEM_PATH, run, start, wait_until

_INIT = Path(__file__).with_name("machine.sh")


@dataclass(frozen=True, slots=True)
class Service:
    """A program that a machine keeps running. `wait` is a shell condition that must hold before each start."""

    name: str
    command: tuple[str, ...]
    wait: str = ""

    def script(self, programs: Path) -> str:
        lines = ["#!/bin/bash", f"export PATH={shlex.quote(str(programs))}:{SYSTEM_PATH}"]
        if self.wait:
            lines.append(f"until {self.wait}; do sleep 0.05; done")
        lines.append("exec " + " \\\n    ".join(shlex.quote(word) for word in self.command))
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Machine:
    site: Site
    name: str

    @property
    def folder(self) -> Path:
        return self.site.machine_folder(self.name)

    @property
    def namespace(self) -> str:
        return self.site.namespace(self.name)

    def make(self) -> None:
        """Its folder and its network, without power."""
        for part in ("services", "log"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "resolv.conf").write_text(f"nameserver {CONTROL_PLANE}\n", encoding="ascii")
        run("ip", "netns", "add", self.namespace)
        self.ip("link", "set", "lo", "up")

    def install(self, services: Iterable[Service]) -> None:
        for service in services:
            script = self.folder / "services" / service.name
            script.write_text(service.script(self.site.programs), encoding="utf-8")
            script.chmod(0o755)

    def ip(self, *words: str) -> str:
        return run("ip", "-netns", self.namespace, *words)

    def set_kernel(self, *settings: str) -> None:
        self.in_network("sysctl", "-qw", *settings)

    def in_network(self, *command: str, limit_s: float = 120.0) -> str:
        """Runs a program in the machine's network, whether it has power or not."""
        return run("nsenter", f"--net={NAMESPACES / self.namespace}", *command, limit_s=limit_s)

    def power_on(self) -> None:
        if self.processes():
            return
        namespaces = ("--pid", "--mount", "--uts", "--fork", "--kill-child")
        start(
            ["nsenter", f"--net={NAMESPACES / self.namespace}", "unshare", *namespaces, "bash", _INIT, self.folder],
            self.folder / "log" / "machine.log",
            environment={"PATH": SYSTEM_PATH, "HOME": "/root"},
        )

    def power_off(self) -> None:
        """Every process of it ends at once; its mounts and its pods' networks go with them."""

        def none_left() -> bool:
            left = self.processes()
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not left

        wait_until(f"{self.name} to go off", none_left, 60.0, 0.05)
        remove_cgroups(CGROUPS, self.site.cgroup(self.name))

    def remove(self) -> None:
        """Off, and its network gone; its folder stays for `down` to remove with all others."""
        self.power_off()
        if (NAMESPACES / self.namespace).exists():
            run("ip", "netns", "delete", self.namespace)

    def processes(self) -> tuple[int, ...]:
        """All processes in the machine's own network, as this machine numbers them; pods with theirs are not among
        them, and end with the init. Empty when it is off."""
        if not (NAMESPACES / self.namespace).exists():
            return ()
        return tuple(int(pid) for pid in run("ip", "netns", "pids", self.namespace).split())

    def init(self) -> int:
        """Raises `ClusterFailed` when the machine is off."""
        for pid in self.processes():
            with suppress(OSError):
                if namespaced_ids(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))[1:] == (1,):
                    return pid
        raise ClusterFailed(f"{self.name} is off; {self.folder / 'log' / 'machine.log'} may say why")

    def find(self, program: str) -> int:
        """Process id of a service, by its program's file name. Raises `ClusterFailed` when it does not run."""
        for pid in self.processes():
            with suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
                if command.rpartition("/")[2] == program:
                    return pid
        raise ClusterFailed(f"{self.name}: no {program} runs")


def namespaced_ids(status: str) -> tuple[int, ...]:
    """The numbers of a process, from the outermost PID namespace to its own, out of /proc/PID/status.

    An init of a machine has two and the last is 1; a pod in its machine's network has three.
    """
    for line in status.splitlines():
        if line.startswith("NSpid:"):
            return tuple(int(word) for word in line.split()[1:])
    return ()
