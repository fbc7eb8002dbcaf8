"""Both charts on the cluster, as the tests want them: a tiny shop with faults, and Foresail over it in Enforce."""

from __future__ import annotations

from pathlib import Path

from e2e_stage import LIGHT, OPERATOR, PROMETHEUS, SHOP, Stage

from chaos.clusters.processes import Word

_CHARTS = Path(__file__).parents[2] / "charts"
FORESAIL_CHART, SHOP_CHART = _CHARTS / "foresail", _CHARTS / "demo-shop"

FORESAIL_OPTIONS: tuple[Word, ...] = (
    *("--set", f"watchNamespaces={{{SHOP},{LIGHT}}}", "--set", f"prometheus.url={PROMETHEUS}"),
    *("--set", f"credentials[0].namespace={SHOP}", "--set", "credentials[0].existingSecret=shop-operator"),
)
SHOP_OPTIONS: tuple[Word, ...] = (
    *("-f", SHOP_CHART / "values-tiny.yaml", "--set", "prometheus.install=off", "--set", "shop.faults=true"),
    *("--set", "resilience.mode=Enforce", "--set", f"resilience.operatorNamespace={OPERATOR}"),
)


def install_everything(stage: Stage) -> None:
    """What is installed already stays as it is."""
    if "foresail" not in stage.helm.releases(OPERATOR):
        # Its pods wait for the shop's Secret, and the shop's policy for its resource definition.
        stage.helm("install", "foresail", FORESAIL_CHART, "-n", OPERATOR, *FORESAIL_OPTIONS)
    if "shop" not in stage.helm.releases(SHOP):
        stage.helm("install", "shop", SHOP_CHART, "-n", SHOP, "--wait", "--timeout=8m", *SHOP_OPTIONS)
    stage.kubectl("rollout", "status", "-n", OPERATOR, "deployment/foresail", "--timeout=240s", limit_s=250.0)
