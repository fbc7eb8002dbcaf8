"""Addresses inside a cluster. All lie in 198.18.0.0/15, which is set aside for tests of networks: nobody is there."""

from __future__ import annotations

ALL = "198.18.0.0/15"
CONTROL_PLANE = "198.18.0.1"
API = f"{CONTROL_PLANE}:6443"
PROMETHEUS = f"{CONTROL_PLANE}:9090"
PREFIX_LENGTH = 24
PODS = "198.18.128.0/17"
SERVICES = "198.19.0.0/16"
KUBERNETES_SERVICE = "198.19.0.1"


def node_address(number: int) -> str:
    """Of the node of this number, from 1."""
    return f"198.18.0.{10 + number}"


def pod_network(number: int) -> str:
    """Of the pods on the node of this number, from 1."""
    return f"198.18.{128 + number}.0/24"
