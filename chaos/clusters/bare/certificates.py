"""Keys, certificates and kubeconfigs of one cluster: made for it, valid for a month, gone with it."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.bare.addresses import API, CONTROL_PLANE, KUBERNETES_SERVICE
from chaos.clusters.processes import run

_DAYS = 30
_SERVER_NAMES = (
    "IP:127.0.0.1",
    f"IP:{CONTROL_PLANE}",
    f"IP:{KUBERNETES_SERVICE}",
    "DNS:localhost",
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    "DNS:kubernetes.default.svc.cluster.local",
)
CONTROLLERS = ("kube-controller-manager", "kube-scheduler", "kube-proxy")


@dataclass(frozen=True, slots=True)
class Pki:
    """A folder of keys. A certificate NAME lies in NAME.crt, its key in NAME.key."""

    folder: Path
    cluster: str

    def make(self, nodes: dict[str, str], kubeconfig: Path, api_port: int) -> None:
        """All that a cluster needs; `nodes` maps names to addresses, `api_port` is where clients here find the API."""
        self.folder.mkdir(mode=0o700)
        (self.folder / "openssl.cnf").write_text("[req]\ndistinguished_name = none\n[none]\n", encoding="ascii")
        for authority in ("ca", "front-proxy-ca"):
            self._make(
                authority,
                f"/CN={authority}",
                "basicConstraints=critical,CA:TRUE",
                "keyUsage=critical,keyCertSign,cRLSign",
            )
        self._issue("apiserver", "/CN=kube-apiserver", _SERVER_NAMES)
        self._issue("front-proxy", "/CN=front-proxy", authority="front-proxy-ca")
        self._issue("admin", "/O=system:masters/CN=admin")
        for name in CONTROLLERS:
            self._issue(name, f"/CN=system:{name}")
            self._write_kubeconfig(self.folder / f"{name}.kubeconfig", name, API)
        for name, address in nodes.items():
            self._issue(name, f"/O=system:nodes/CN=system:node:{name}", (f"IP:{address}", f"DNS:{name}"))
            self._write_kubeconfig(self.folder / f"{name}.kubeconfig", name, API)
        self._write_kubeconfig(self.folder / "inside.kubeconfig", "admin", API)
        self._write_kubeconfig(kubeconfig, "admin", f"127.0.0.1:{api_port}")
        signing = self.folder / "service-accounts.key"
        run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", signing)
        run("openssl", "ec", "-in", signing, "-pubout", "-out", self.folder / "service-accounts.pub")

    def _issue(self, name: str, subject: str, names: tuple[str, ...] = (), authority: str = "ca") -> None:
        extensions = ["basicConstraints=critical,CA:FALSE", "keyUsage=digitalSignature"]
        extensions.append("extendedKeyUsage=clientAuth,serverAuth")
        if names:
            extensions.append(f"subjectAltName={','.join(names)}")
        self._make(name, subject, *extensions, authority=authority)

    def _make(self, name: str, subject: str, *extensions: str, authority: str | None = None) -> None:
        signed_by: list[str | Path] = []
        if authority is not None:
            signed_by = ["-CA", self.folder / f"{authority}.crt", "-CAkey", self.folder / f"{authority}.key"]
        run(
            *("openssl", "req", "-x509", "-config", self.folder / "openssl.cnf", "-days", _DAYS, "-subj", subject),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.crt"),
            *signed_by,
            *(word for extension in extensions for word in ("-addext", extension)),
        )

    def _write_kubeconfig(self, path: Path, user: str, api: str) -> None:
        document = kubeconfig_document(
            self.cluster,
            user,
            f"https://{api}",
            authority=(self.folder / "ca.crt").read_bytes(),
            certificate=(self.folder / f"{user}.crt").read_bytes(),
            key=(self.folder / f"{user}.key").read_bytes(),
        )
        path.touch(mode=0o600)
        path.write_text(json.dumps(document, indent=1), encoding="ascii")


def kubeconfig_document(
    cluster: str, user: str, server: str, *, authority: bytes, certificate: bytes, key: bytes
) -> dict[str, object]:
    def data(content: bytes) -> str:
        return b64encode(content).decode("ascii")

    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": cluster,
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
        "clusters": [{"name": cluster, "cluster": {"server": server, "certificate-authority-data": data(authority)}}],
        "users": [{"name": user, "user": {"client-certificate-data": data(certificate), "client-key-data": data(key)}}],
    }
