"""A cluster with Prometheus, the shop, and Foresail over it in Enforce. What is there already stays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from chaos.clusters.bare.addresses import PROMETHEUS
from chaos.clusters.charts import CHARTS, check_charts
from chaos.clusters.cluster import Cluster
from chaos.clusters.folders import ClusterFolders
from chaos.clusters.images.current import current_image
from chaos.clusters.images.recipes import RECIPES
from chaos.clusters.plan import ClusterPlan
from chaos.clusters.processes import Word, wait_until
from chaos.clusters.providers import bare_cluster
from chaos.demo_cluster.tools import Tools, tools_for

Say = Callable[[str], None]

SHOP, OPERATOR = "shop", "foresail"
GATEWAY_CPU = "120m"
GATEWAY_CARRIES_RPS = 14  # of that much CPU, at the 8.5 ms that a request was seen to cost
_LEAD_LIMIT_S = 180.0


def brought_up(name: str, folders: ClusterFolders, home: Path, say: Say) -> tuple[Cluster, Tools]:
    """The cluster, with both charts installed and an operator that leads. Raises `ClusterFailed`, `ImageInvalid`."""
    check_charts()
    say("images: built only where their sources have changed")
    images = tuple(current_image(recipe, folders.images) for recipe in RECIPES.values())
    cluster = bare_cluster(ClusterPlan(name=name, prometheus=True, images=images), folders, say)
    cluster.up()
    tools = tools_for(cluster, folders, os.environ, home)
    _install(tools, say)
    say("waiting for an operator that leads")
    wait_until("a running operator to lead", lambda: leader(tools), _LEAD_LIMIT_S, pause_s=1.0)
    return cluster, tools


def leader(tools: Tools) -> str | None:
    """Name of the pod that leads; None: none of those that run."""
    holder = tools.get("lease", "foresail", "-n", OPERATOR)["spec"].get("holderIdentity") or ""
    pods = tools.get("pods", "-n", OPERATOR, "-l", "app.kubernetes.io/component=operator")["items"]
    name = str(holder).rpartition("_")[0]
    return name if name in {pod["metadata"]["name"] for pod in pods} else None


def _install(tools: Tools, say: Say) -> None:
    for namespace in (SHOP, OPERATOR):
        manifest = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n"
        tools.kubectl("apply", "--server-side", "-f", "-", given=manifest)
    say("installing Foresail")
    operator: tuple[Word, ...] = (
        *("--set", f"watchNamespaces={{{SHOP}}}", "--set", f"prometheus.url=http://{PROMETHEUS}"),
        *("--set", f"credentials[0].namespace={SHOP}", "--set", "credentials[0].existingSecret=shop-operator"),
    )
    # Without waiting: its pods wait for the shop's Secret, and the shop's policy for its resource definition.
    tools.helm("upgrade", "--install", "foresail", CHARTS / "foresail", "-n", OPERATOR, *operator)
    say("installing the shop: PostgreSQL is made and filled first")
    shop: tuple[Word, ...] = (
        *("-f", CHARTS / "demo-shop" / "values-tiny.yaml", "--set", "prometheus.install=off"),
        *("--set", "hpa.profile=lean", "--set", "resilience.mode=Enforce"),
        # So small that a sale of a few requests per second needs more of them, on a machine of two cores.
        *("--set", f"roles.gateway.resources.limits.cpu={GATEWAY_CPU}"),
        *("--set", f"roles.gateway.capacityPriorRequestsPerSecond={GATEWAY_CARRIES_RPS}"),
        *("--set", f"resilience.operatorNamespace={OPERATOR}", "--wait", "--timeout=9m"),
    )
    tools.helm("upgrade", "--install", "shop", CHARTS / "demo-shop", "-n", SHOP, *shop)
    tools.kubectl(*("rollout", "status", "-n", OPERATOR, "deployment/foresail", "--timeout=240s"), limit_s=250.0)
