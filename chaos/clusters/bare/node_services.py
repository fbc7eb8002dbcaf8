"""The programs of a node: container runtime, kubelet and service proxy, and the files they read."""

from __future__ import annotations

import json
import os
from pathlib import Path

from chaos.clusters.bare.addresses import CONTROL_PLANE
from chaos.clusters.bare.control_plane_services import after_api, proxy_service
from chaos.clusters.bare.files import filled_in
from chaos.clusters.bare.machine import Service
from chaos.clusters.bare.site import Site
from chaos.clusters.plan import REGION, REGION_LABEL, ZONE_LABEL, NodePlace

#: There once the node has all images; the kubelet waits for it.
IMAGES_LOADED = Path("/run/images-loaded")
_KEPT_FREE_MIB = 100


def node_services(site: Site, place: NodePlace, folder: Path, address: str, pods: str) -> tuple[Service, ...]:
    """Everything that runs on a node; writes the files that the programs read into its folder."""
    (folder / "cni").mkdir(exist_ok=True)
    _write(folder / "cni" / "10-pods.conflist", pod_network_configuration(pods))
    size = machine_size()
    _write(folder / "kubelet.json", kubelet_configuration(site, place.name, folder, address, reserved(site, *size)))
    containerd = Service("containerd", ("containerd", "-c", str(filled_in("containerd.toml", folder, FOLDER=folder))))
    kubelet = Service(
        "kubelet",
        (
            "kubelet",
            f"--config={folder / 'kubelet.json'}",
            f"--kubeconfig={site.pki}/{place.name}.kubeconfig",
            f"--root-dir={folder / 'kubelet'}",
            f"--cert-dir={folder / 'kubelet' / 'pki'}",
            f"--hostname-override={place.name}",
            f"--node-ip={address}",
            f"--node-labels={ZONE_LABEL}={place.zone},{REGION_LABEL}={REGION}",
        ),
        wait=f"{after_api(site)} && [ -e {IMAGES_LOADED} ]",
    )
    return containerd, kubelet, proxy_service(site, folder, address, place.name)


def machine_size() -> tuple[int, int]:
    """This machine's memory in MiB and its processors in millicores, which every kubelet takes for its own."""
    total_mib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    return total_mib, (os.cpu_count() or 1) * 1000


def reserved(site: Site, machine_mib: int, machine_millicores: int) -> dict[str, str]:
    """What a kubelet shall hold back, so that the node offers what the plan says and not the whole machine."""
    memory_mib = max(0, machine_mib - _KEPT_FREE_MIB - site.plan.memory_mib)
    cpus = site.plan.cpus
    millicores = 0 if cpus is None else max(0, machine_millicores - round(cpus * 1000))
    return {"cpu": f"{millicores}m", "memory": f"{memory_mib}Mi"}


def kubelet_configuration(
    site: Site, name: str, folder: Path, address: str, held_back: dict[str, str]
) -> dict[str, object]:
    pki, timers = site.pki, site.plan.timers
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{pki}/{name}.crt",
        "tlsPrivateKeyFile": f"{pki}/{name}.key",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        # A root of its own: kubelets take other pods below theirs for orphans, and kill them.
        "cgroupRoot": f"/{site.cgroup(name)}",
        "enforceNodeAllocatable": ["pods"],
        "failSwapOn": False,
        "volumePluginDir": f"{folder}/volume-plugins",
        "staticPodPath": "",
        "clusterDNS": [CONTROL_PLANE],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{folder}/resolv.conf",
        "nodeStatusUpdateFrequency": f"{timers.kubelet_status_s}s",
        "nodeLeaseDurationSeconds": timers.node_lease_s,
        "syncFrequency": "10s",
        "maxPods": 100,
        "imageGCHighThresholdPercent": 100,  # nowhere to pull a removed image from
        "registryPullQPS": 0,
        "eventRecordQPS": 50,
        "kubeReserved": held_back,
        "evictionHard": {
            "memory.available": f"{_KEPT_FREE_MIB}Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
    }


def pod_network_configuration(pods: str) -> dict[str, object]:
    """CNI: a bridge on each node, addresses from its own range, routes between nodes set once for all."""
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "ipMasq": False,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni-addresses",
                    "ranges": [[{"subnet": pods}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _write(path: Path, document: dict[str, object]) -> None:
    path.write_text(json.dumps(document, indent=1), encoding="ascii")
