"""The machine of the control plane; the switches that join all machines stand in its network."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.clusters.bare.addresses import CONTROL_PLANE, PREFIX_LENGTH, SERVICES
from chaos.clusters.bare.control_plane_services import control_plane_services
from chaos.clusters.bare.machine import Machine

NAME = "control-plane"
_MAIN_SWITCH = "br0"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Beside its programs: a main switch, and a switch for each zone, joined to the main one by an uplink.

    A node's cable ends in its zone's switch. With the uplink down a zone is cut off as a whole, and the nodes in it
    still reach each other. No switch leads out of the cluster.
    """

    machine: Machine

    def make(self) -> None:
        machine = self.machine
        machine.make()
        machine.ip("link", "add", _MAIN_SWITCH, "type", "bridge")
        machine.ip("addr", "add", f"{CONTROL_PLANE}/{PREFIX_LENGTH}", "dev", _MAIN_SWITCH)
        machine.ip("link", "set", _MAIN_SWITCH, "up")
        # No packet goes there, but without a route none would get as far as the proxy's rules.
        machine.ip("route", "add", SERVICES, "dev", _MAIN_SWITCH)
        machine.set_kernel("net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=0")
        for zone in machine.site.plan.zone_names():
            self._make_zone(zone)
        machine.install(control_plane_services(machine.site, machine.folder))

    def plug_in(self, cable: str, zone: str, address: str, pods: str, namespace: str) -> None:
        """Lays a cable from the zone's switch to `eth0` of a node, and the route to the node's pods."""
        ip = self.machine.ip
        ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
        ip("link", "set", cable, "master", zone, "up")
        ip("route", "add", pods, "via", address)

    def connect(self, link: str) -> None:
        self.machine.ip("link", "set", link, "up")

    def disconnect(self, link: str) -> None:
        self.machine.ip("link", "set", link, "down")

    def is_connected(self, link: str) -> bool:
        flags = self.machine.ip("-o", "link", "show", "dev", link).partition("<")[2].partition(">")[0]
        return "UP" in flags.split(",")

    def _make_zone(self, zone: str) -> None:
        ip = self.machine.ip
        ip("link", "add", zone, "type", "bridge")
        ip("link", "set", zone, "up")
        ip("link", "add", uplink(zone), "type", "veth", "peer", "name", f"to-{zone}")
        ip("link", "set", uplink(zone), "master", zone, "up")
        ip("link", "set", f"to-{zone}", "master", _MAIN_SWITCH, "up")


def uplink(zone: str) -> str:
    """The end of the uplink that is pulled to cut the zone."""
    return f"up-{zone}"
