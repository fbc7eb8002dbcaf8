"""What is behind a workload's name, from watched objects and policies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import api_objects

from foresail.actuators import paths
from foresail.actuators.targets import Endpoint
from foresail.objects.object_state import ObjectState, Records, joined
from foresail.objects.parsing import deployment, hpa, scaled_object, stateful_set
from foresail.resources.bindings import EndpointBinding, PatroniBinding, WorkloadBinding
from foresail.resources.metric_sources import MetricPreset
from foresail.resources.problems import PolicyName
from foresail.state_directory import StateDirectory

DRAIN = EndpointBinding(9091, "/-/drain", "shop/control")
PATRONI = PatroniBinding("pg", {"cluster-name": "pg"}, None, 9008, "shop/patroni")


def state() -> ObjectState:
    web, db, scaler = (
        deployment(api_objects.deployment()),
        stateful_set(api_objects.stateful_set()),
        hpa(api_objects.hpa()),
    )
    keda = scaled_object(api_objects.scaled_object())
    assert web is not None and db is not None and scaler is not None and keda is not None
    return joined(
        Records(
            deployments={web.meta.key: web},
            stateful_sets={db.meta.key: db},
            hpas={scaler.meta.key: scaler},
            scaled_objects={keda.meta.key: keda},
        )
    )


def directory(secrets: Path | None = None, **bound: object) -> StateDirectory:
    policy = PolicyName("shop", "shop")
    bindings: Mapping[str, WorkloadBinding] = {
        key: WorkloadBinding(key, "Deployment", policy, "t", MetricPreset.OTEL_HTTP, **bound)  # type: ignore[arg-type]
        for key in ("shop/web", "shop/db")
    }
    return StateDirectory(state, lambda: bindings, secrets)


def test_a_deployment_is_found_with_its_autoscalers() -> None:
    found = directory().find("shop/web")

    assert found is not None
    assert (found.kind, found.hpa, found.scaled_object) == (paths.DEPLOYMENTS, "web", "web")
    assert found.selector.pairs == {"app": "web"} and found.drain is None and found.brownout is None


def test_expressions_of_the_selector_reach_the_acts() -> None:
    """A canary under a Deployment of its own may share every pair of labels."""
    row = api_objects.deployment()
    row["spec"]["selector"]["matchExpressions"] = [{"key": "track", "operator": "DoesNotExist"}]
    web = deployment(row)
    assert web is not None

    found = StateDirectory(lambda: joined(Records(deployments={web.meta.key: web})), dict).find("shop/web")

    assert found is not None and found.labels == "app=web,!track"


def test_a_stateful_set_has_its_own_kind() -> None:
    found = directory(database=PATRONI).find("shop/db")

    assert found is not None and found.kind == paths.STATEFUL_SETS and found.patroni_port == 9008
    assert found.patroni_members == {"cluster-name": "pg"}


def test_tokens_lie_in_the_folder_of_the_policys_namespace(tmp_path: Path) -> None:
    found = directory(tmp_path, drain=DRAIN, database=PATRONI).find("shop/web")

    assert found is not None
    assert found.drain == Endpoint("/-/drain", 9091, tmp_path / "shop/control") and found.brownout is None
    assert found.patroni_credentials_file == tmp_path / "shop/patroni"


def test_each_endpoint_has_its_own_port_path_and_token(tmp_path: Path) -> None:
    drain, dim = EndpointBinding(9091, "/leave", "shop/leave"), EndpointBinding(9090, "/-/brownout", "shop/control")

    found = directory(tmp_path, drain=drain, brownout=dim).find("shop/web")

    assert found is not None
    assert found.drain == Endpoint("/leave", 9091, tmp_path / "shop/leave")
    assert found.brownout == Endpoint("/-/brownout", 9090, tmp_path / "shop/control")


def test_without_a_folder_there_are_no_tokens() -> None:
    found = directory(drain=DRAIN).find("shop/web")

    assert found is not None and found.drain == Endpoint("/-/drain", 9091, None)


def test_what_is_not_there_is_not_found() -> None:
    assert directory().find("shop/nobody") is None
    assert StateDirectory(lambda: None, dict).find("shop/web") is None
