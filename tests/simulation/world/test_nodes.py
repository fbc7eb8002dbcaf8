from __future__ import annotations

import numpy as np
import pytest

from simulation.cluster.contention import fair_shares
from simulation.cluster.nodes import nodes_of
from simulation.topology import NodeGroup, Service, Topology


def topology(*groups: NodeGroup) -> Topology:
    return Topology.model_validate({"nodes": groups, "services": [{"name": "web", "cpu_ms": 1}]})


def test_nodes_are_named_by_zone_and_number_over_groups() -> None:
    named = nodes_of(topology(NodeGroup(zone="a", count=2), NodeGroup(zone="b"), NodeGroup(zone="a")))

    assert list(named) == ["node-a-1", "node-a-2", "node-b-1", "node-a-3"]


@pytest.mark.parametrize(
    ("cpu_request", "memory_mib", "room"),
    [
        pytest.param(0.5, 256, 8, id="cpu-decides"),  # 4 / 0.5
        pytest.param(0.1, 3000, 2, id="memory-decides"),  # 8192 // 3000
        pytest.param(0.4, 256, 10, id="no-rounding-loss"),  # 4 / 0.4
        pytest.param(5.0, 256, 0, id="never-fits"),
    ],
)
def test_room_is_what_fits_by_requests(cpu_request: float, memory_mib: float, room: int) -> None:
    (node,) = nodes_of(topology(NodeGroup(zone="a"))).values()

    service = Service(
        name="x", cpu_request=cpu_request, cpu_limit=5, memory_request_mib=memory_mib, memory_limit_mib=4096
    )

    assert node.room_for(service) == room


@pytest.mark.parametrize(
    ("demands", "weights", "cores", "given"),
    [
        pytest.param([1, 1], [1, 1], 4, [1, 1], id="enough-for-all"),
        pytest.param([3, 3], [1, 1], 4, [2, 2], id="equal"),
        pytest.param([3, 3], [1, 3], 4, [1, 3], id="by-request"),
        # each may have 4/3; the first wants 0.5 only, its rest goes to the others: (4 − 0.5) / 2
        pytest.param([0.5, 3, 3], [1, 1, 1], 4, [0.5, 1.75, 1.75], id="what-is-left-goes-to-others"),
        pytest.param([0, 3], [1, 1], 2, [0, 2], id="idle-pod"),
        pytest.param([1, 1], [1, 1], 0, [0, 0], id="nothing-to-share"),
    ],
)
def test_cpu_is_shared_fairly(demands: list[float], weights: list[float], cores: float, given: list[float]) -> None:
    shares = fair_shares(np.array(demands, float), np.array(weights, float), cores)

    np.testing.assert_allclose(shares, given)
