"""Both charts, installed from nothing, work: pods, lead, policy, `helm test`, dashboards."""

from e2e_operator import OperatorView
from e2e_programs import Kubectl
from e2e_stage import OPERATOR, SHOP, Stage


def test_all_pods_of_both_charts_are_ready(installed: Stage, kubectl: Kubectl) -> None:
    for namespace in (OPERATOR, SHOP):
        kubectl("rollout", "status", "-n", namespace, "deployment", "--timeout=120s")
        for deployment in kubectl.items(namespace, "deployments"):
            assert deployment["status"]["readyReplicas"] == deployment["spec"]["replicas"]


def test_one_operator_leads_and_the_other_follows(operator: OperatorView) -> None:
    leader = operator.leader()
    others = {pod["metadata"]["name"] for pod in operator.pods()} - {leader}

    assert operator.metric("foresail_leader") == 1.0
    for other in others:
        assert '"ok": true' in operator.page("/readyz", other)
