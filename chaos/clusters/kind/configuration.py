"""The configuration that kind makes a cluster from."""

from __future__ import annotations

import yaml

from chaos.clusters.plan import REGION, REGION_LABEL, ZONE_LABEL, ClusterPlan, Timers


def kind_configuration(plan: ClusterPlan) -> str:
    """A control plane and one worker for each node, labelled with zones, with the plan's timers."""
    workers = [{"role": "worker", "labels": {ZONE_LABEL: place.zone, REGION_LABEL: REGION}} for place in plan.places()]
    return yaml.safe_dump(
        {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "name": plan.name,
            "nodes": [{"role": "control-plane"}, *workers],
            "kubeadmConfigPatches": [yaml.safe_dump(patch, sort_keys=False) for patch in _patches(plan.timers)],
        },
        sort_keys=False,
    )


def container_name(plan: ClusterPlan, node: str) -> str:
    """kind numbers its workers from 2 on and leaves the first without a number."""
    number = int(node.rpartition("-")[2])
    return f"{plan.name}-worker{number if number > 1 else ''}"


def control_plane_container(plan: ClusterPlan) -> str:
    return f"{plan.name}-control-plane"


def network_name(plan: ClusterPlan) -> str:
    return f"foresail-{plan.name}"


def _patches(timers: Timers) -> list[dict[str, object]]:
    """kind applies a patch where kind and version fit: kubeadm lists flags since v1beta4 and mapped them before."""
    api_server, controllers = _api_server_flags(timers), _controller_flags(timers)
    return [
        {
            "apiVersion": "kubeadm.k8s.io/v1beta3",
            "kind": "ClusterConfiguration",
            "apiServer": {"extraArgs": api_server},
            "controllerManager": {"extraArgs": controllers},
        },
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "ClusterConfiguration",
            "apiServer": {"extraArgs": _listed(api_server)},
            "controllerManager": {"extraArgs": _listed(controllers)},
        },
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "nodeStatusUpdateFrequency": f"{timers.kubelet_status_s}s",
            "nodeLeaseDurationSeconds": timers.node_lease_s,
        },
    ]


def _api_server_flags(timers: Timers) -> dict[str, str]:
    return {
        "default-not-ready-toleration-seconds": str(timers.eviction_s),
        "default-unreachable-toleration-seconds": str(timers.eviction_s),
    }


def _controller_flags(timers: Timers) -> dict[str, str]:
    return {
        "node-monitor-period": f"{timers.node_monitor_s}s",
        "node-monitor-grace-period": f"{timers.node_grace_s}s",
        "horizontal-pod-autoscaler-sync-period": f"{timers.hpa_sync_s}s",
        "horizontal-pod-autoscaler-downscale-stabilization": f"{timers.hpa_downscale_stabilisation_s}s",
        "horizontal-pod-autoscaler-cpu-initialization-period": f"{timers.hpa_cpu_initialization_s}s",
        "horizontal-pod-autoscaler-initial-readiness-delay": f"{timers.hpa_initial_readiness_s}s",
    }


def _listed(flags: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in flags.items()]
