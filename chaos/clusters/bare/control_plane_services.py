"""The programs of the control plane and their command lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from chaos.clusters.bare.addresses import CONTROL_PLANE, PODS, PROMETHEUS, SERVICES
from chaos.clusters.bare.files import filled_in
from chaos.clusters.bare.machine import Service
from chaos.clusters.bare.site import Site

_ETCD = "http://127.0.0.1:2379"
_ETCD_PEERS = "http://127.0.0.1:2380"
_AUDIT_MIB = 50


def control_plane_services(site: Site, folder: Path) -> tuple[Service, ...]:
    """Everything that runs on the control plane; writes the files that the programs read into its folder."""
    services = [_etcd(folder), _api_server(site, folder), _controller_manager(site, folder), _scheduler(site)]
    services += [_name_server(site, folder), _metrics_server(site)]
    # So that programs in the control plane's network can use service addresses too. The proxy waits for a node of its
    # name before it writes any rule, and the control plane is none: it borrows the first node's.
    services.append(proxy_service(site, folder, CONTROL_PLANE, "node-1"))
    if site.plan.prometheus:
        services.append(_prometheus(site, folder))
    return tuple(services)


def proxy_service(site: Site, folder: Path, address: str, node: str) -> Service:
    """kube-proxy of one machine."""
    path = folder / "kube-proxy.json"
    path.write_text(json.dumps(proxy_configuration(site, address, node), indent=1), encoding="ascii")
    return Service("kube-proxy", ("kube-proxy", f"--config={path}"), wait=after_api(site))


def proxy_configuration(site: Site, address: str, node: str) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": f"{site.pki}/kube-proxy.kubeconfig"},
        "clusterCIDR": PODS,
        "hostnameOverride": node,
        "healthzBindAddress": f"{address}:10256",
        "metricsBindAddress": f"{address}:10249",
        "iptables": {"minSyncPeriod": "200ms"},
        # Nothing of the kernel that other machines here share with it.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def after_api(site: Site) -> str:
    """A shell condition: controllers started before the API server is ready die of missing rights, and lose time."""
    return f"[ -e '{site.api_ready}' ]"


def _etcd(folder: Path) -> Service:
    return Service(
        "etcd",
        (
            "etcd",
            "--name=etcd",
            f"--data-dir={folder / 'etcd'}",
            "--unsafe-no-fsync",  # the cluster goes with the machine anyway
            "--log-level=warn",
            f"--listen-client-urls={_ETCD}",
            f"--advertise-client-urls={_ETCD}",
            f"--listen-peer-urls={_ETCD_PEERS}",
            f"--initial-advertise-peer-urls={_ETCD_PEERS}",
            f"--initial-cluster=etcd={_ETCD_PEERS}",
        ),
    )


def audit_log(folder: Path) -> Path:
    """Requests of workloads' service accounts, a line of JSON each; below the control plane's folder."""
    return folder / "log" / "audit.log"


def _api_server(site: Site, folder: Path) -> Service:
    pki, eviction_s = site.pki, site.plan.timers.eviction_s
    audited = filled_in("audit.yaml", folder)
    return Service(
        "kube-apiserver",
        (
            "kube-apiserver",
            f"--etcd-servers={_ETCD}",
            f"--advertise-address={CONTROL_PLANE}",
            "--secure-port=6443",
            "--allow-privileged=true",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            "--kubelet-preferred-address-types=InternalIP",
            f"--kubelet-client-certificate={pki}/admin.crt",
            f"--kubelet-client-key={pki}/admin.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki}/service-accounts.pub",
            f"--service-account-signing-key-file={pki}/service-accounts.key",
            f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
            "--requestheader-allowed-names=front-proxy",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki}/front-proxy.crt",
            f"--proxy-client-key-file={pki}/front-proxy.key",
            # Webhooks and aggregated APIs by the pods' addresses: the API server itself has no rules for services.
            "--enable-aggregator-routing=true",
            f"--audit-policy-file={audited}",
            f"--audit-log-path={audit_log(folder)}",
            f"--audit-log-maxsize={_AUDIT_MIB}",
            "--audit-log-maxbackup=1",
            f"--default-not-ready-toleration-seconds={eviction_s}",
            f"--default-unreachable-toleration-seconds={eviction_s}",
        ),
        wait="(: </dev/tcp/127.0.0.1/2379) 2>/dev/null",
    )


def _controller_manager(site: Site, folder: Path) -> Service:
    pki, timers = site.pki, site.plan.timers
    return Service(
        "kube-controller-manager",
        (
            "kube-controller-manager",
            *_as_user(site, "kube-controller-manager"),
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--service-account-private-key-file={pki}/service-accounts.key",
            f"--root-ca-file={pki}/ca.crt",
            f"--cluster-signing-cert-file={pki}/ca.crt",
            f"--cluster-signing-key-file={pki}/ca.key",
            f"--flex-volume-plugin-dir={folder / 'volume-plugins'}",  # made at start, and else in the host's /usr
            "--kube-api-qps=200",  # the default takes 3 s longer to start all controllers
            "--kube-api-burst=400",
            f"--node-monitor-period={timers.node_monitor_s}s",
            f"--node-monitor-grace-period={timers.node_grace_s}s",
            f"--horizontal-pod-autoscaler-sync-period={timers.hpa_sync_s}s",
            f"--horizontal-pod-autoscaler-downscale-stabilization={timers.hpa_downscale_stabilisation_s}s",
            f"--horizontal-pod-autoscaler-cpu-initialization-period={timers.hpa_cpu_initialization_s}s",
            f"--horizontal-pod-autoscaler-initial-readiness-delay={timers.hpa_initial_readiness_s}s",
        ),
        wait=after_api(site),
    )


def _scheduler(site: Site) -> Service:
    flags = ("--bind-address=127.0.0.1", "--leader-elect=false")
    command = ("kube-scheduler", *_as_user(site, "kube-scheduler"), *flags)
    return Service("kube-scheduler", command, wait=after_api(site))


def _name_server(site: Site, folder: Path) -> Service:
    path = filled_in("Corefile", folder, KUBECONFIG=site.inside_kubeconfig)
    return Service("coredns", ("coredns", "-conf", str(path)), wait=after_api(site))


def _metrics_server(site: Site) -> Service:
    pki = site.pki
    return Service(
        "metrics-server",
        (
            "metrics-server",
            *_as_user(site, "inside"),
            f"--bind-address={CONTROL_PLANE}",
            "--secure-port=4443",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            "--kubelet-preferred-address-types=InternalIP",
            "--kubelet-use-node-status-port",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            f"--kubelet-client-certificate={pki}/admin.crt",
            f"--kubelet-client-key={pki}/admin.key",
            f"--metric-resolution={site.plan.timers.metrics_resolution_s}s",
            "--kubelet-request-timeout=5s",
        ),
        wait=after_api(site),
    )


def _prometheus(site: Site, folder: Path) -> Service:
    path = filled_in("prometheus.yaml", folder, KUBECONFIG=site.inside_kubeconfig, PKI=site.pki)
    return Service(
        "prometheus",
        (
            "prometheus",
            f"--config.file={path}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            "--storage.tsdb.retention.time=1d",
            f"--web.listen-address={PROMETHEUS}",
            "--web.enable-lifecycle",
            "--log.level=warn",
        ),
        wait=after_api(site),
    )


def _as_user(site: Site, user: str) -> Iterator[str]:
    for prefix in ("", "authentication-", "authorization-"):
        yield f"--{prefix}kubeconfig={site.pki}/{user}.kubeconfig"
