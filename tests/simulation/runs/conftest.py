"""A small shop that is quick to run: a gateway over a catalog with optional content, in two zones."""

from __future__ import annotations

import pytest

from simulation.scenario import Scenario, parse_scenario

SMALL_SHOP = """
name: small-shop
duration_s: 240
warm_up_s: 60
topology:
  nodes: [{zone: a, count: 2, cpu: 8}, {zone: b, count: 2, cpu: 8}]
  services:
    - name: gateway
      replicas: 2
      cpu_request: 0.6
      startup: {image_pull_s: 2, cached_pull_s: 1, time_s: 8, cpu_cores: 0.5}
      hpa: {min_replicas: 2, max_replicas: 10}
    - name: catalog
      replicas: 2
      cpu_request: 0.6
      startup: {image_pull_s: 2, cached_pull_s: 1, time_s: 8, cpu_cores: 0.5}
      hpa: {min_replicas: 2, max_replicas: 10}
  operations:
    - name: gateway.page
      cpu_ms: 20
      calls: [{to: catalog.list, timeout_s: 1.0}, {to: catalog.hints, timeout_s: 0.5, optional: true, probability: 0.5}]
    - {name: catalog.list, cpu_ms: 15}
    - {name: catalog.hints, cpu_ms: 10}
  classes: [{name: browse, share: 1.0, operation: gateway.page}]
load:
  rps: 30
  knots: [[0, 1.0], [60, 1.0], [120, 2.5], [240, 2.5]]
faults:
  - {kind: pod_crash, service: catalog, start_s: 90}
"""


@pytest.fixture(scope="session")
def small_shop() -> Scenario:
    return parse_scenario(SMALL_SHOP, "small shop of the tests")
