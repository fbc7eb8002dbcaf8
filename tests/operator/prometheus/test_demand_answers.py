"""Rows of answers → demand of workloads: who owns what, what is added, and what stays unknown."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from foresail.prometheus.answers import Frame, vector
from foresail.prometheus.coverage import Coverage
from foresail.prometheus.demand_answers import Answered, DemandTable, demand_table
from foresail.prometheus.joining import Joiner
from foresail.prometheus.queries import CustomQuery
from foresail.prometheus.reasons import UnknownReason
from foresail.prometheus.settings import Reading
from foresail.prometheus.watched import Expression, Figure, PodFacts, PodIndex, Preset, Watched

OTEL, SHOP = "otel-http", {"namespace": "shop"}
INDEX = PodIndex(
    {
        "shop/web-7d4b9c6f5d-x2x4z": PodFacts("shop/web"),
        "shop/web-7d4b9c6f5d-bbbbb": PodFacts("shop/web"),
        "shop/other-7d4b9c6f5d-bbbbb": PodFacts("shop/other"),
    },
    {"shop/front": "shop/web"},
)


def rows(*found: tuple[str, Mapping[str, str], float]) -> Frame:
    return Frame(
        tuple({**labels, "foresail": tag} for tag, labels, _ in found), np.array([[value] for *_, value in found])
    )


def grouped(tag: str, group: str, value: float) -> tuple[str, Mapping[str, str], float]:
    return f"{OTEL}/{tag}", {**SHOP, "foresail_group": group}, value


def table(
    frame: Frame | None,
    *watched: Watched,
    custom: tuple[Answered, ...] = (),
    latency: Frame | None = None,
    index: PodIndex = INDEX,
) -> DemandTable:
    joiner = Joiner(watched or (Watched("shop/web"),), index, Reading())
    return demand_table(frame, latency, custom, joiner, Reading(), 1)


def test_a_group_belongs_to_the_workload_of_its_living_pods() -> None:
    index = PodIndex({"shop/app-v2-7d4b9c6f5d-x2x4z": PodFacts("shop/web")})

    seen = table(rows(grouped("offered", "app-v2", 12.0)), index=index).newest()

    assert seen["shop/web"].offered_rps == 12.0


def test_a_group_without_living_pods_belongs_to_the_workload_of_its_name() -> None:
    assert table(rows(grouped("offered", "web", 12.0)), index=PodIndex()).newest()["shop/web"].offered_rps == 12.0


def test_a_group_whose_pods_have_two_owners_belongs_to_nobody() -> None:
    index = PodIndex({"shop/web-7d4b9c6f5d-x2x4z": PodFacts("shop/a"), "shop/web-0": PodFacts("shop/b")})

    found = table(rows(grouped("offered", "web", 12.0)), Watched("shop/a"), Watched("shop/web"), index=index)

    assert found.newest()["shop/a"].offered_rps is None
    assert found.newest()["shop/web"].offered_rps is None
    assert found.problems[UnknownReason.NO_OWNER] == 1


def test_a_workload_nobody_measured_is_unknown_and_not_zero() -> None:
    seen = table(rows(grouped("offered", "web", 12.0)), Watched("shop/web"), Watched("shop/other")).newest()

    other = seen["shop/other"]
    assert (other.offered_rps, other.error_ratio, other.rejected_rps, other.saturated) == (None, None, None, False)


def test_no_errors_are_an_error_ratio_of_zero_when_requests_are_known() -> None:
    assert table(rows(grouped("offered", "web", 12.0))).newest()["shop/web"].error_ratio == 0.0


def test_an_idle_workload_has_no_error_ratio() -> None:
    seen = table(rows(grouped("offered", "web", 0.0))).newest()["shop/web"]

    assert (seen.offered_rps, seen.error_ratio) == (0.0, None)


def test_retries_are_no_demand_and_calls_that_never_arrived_are() -> None:
    upstream = {**SHOP, "upstream": "web"}
    frame = rows(grouped("offered", "web", 90.0), (f"{OTEL}/called", upstream, 100.0), (f"{OTEL}/again", upstream, 8.0))

    # Callers sent 100, of which 8 were sent again: 92 were wanted.
    assert table(frame).newest()["shop/web"].offered_rps == 92.0


def test_demand_is_known_from_callers_when_every_pod_is_dead() -> None:
    frame = rows((f"{OTEL}/called", {**SHOP, "upstream": "web"}, 40.0))

    assert table(frame).newest()["shop/web"].offered_rps == 40.0


@pytest.mark.parametrize("upstream", ["web", "front", "shop-web"])
def test_callers_may_call_it_by_its_service_or_by_part_of_its_name(upstream: str) -> None:
    index = PodIndex({}, {"shop/front": "shop/shop-web"})
    frame = rows((f"{OTEL}/called", {**SHOP, "upstream": upstream}, 40.0))

    assert table(frame, Watched("shop/shop-web"), index=index).newest()["shop/shop-web"].offered_rps == 40.0


@pytest.mark.parametrize(("rejected", "saturated"), [(2.0, False), (2.1, True)])
def test_demand_is_censored_from_two_per_cent_of_rejections_on(rejected: float, saturated: bool) -> None:
    seen = table(rows(grouped("offered", "web", 100.0), grouped("rejected", "web", rejected))).newest()["shop/web"]

    assert (seen.rejected_rps, seen.saturated) == (rejected, saturated)


def test_what_was_shed_and_what_was_answered_503_are_the_same_requests() -> None:
    frame = rows(grouped("offered", "web", 100.0), grouped("rejected", "web", 5.0), grouped("shed", "web", 7.0))

    assert table(frame).newest()["shop/web"].rejected_rps == 7.0


def test_demand_behind_an_entry_in_trouble_reads_too_low() -> None:
    frame = rows(grouped("offered", "web", 100.0), grouped("failed", "web", 3.0), grouped("offered", "other", 50.0))

    seen = table(frame, Watched("shop/web"), Watched("shop/other", entry="shop/web")).newest()

    assert seen["shop/other"].saturated
    assert not seen["shop/web"].saturated  # it failed, but turned nobody away
    assert seen["shop/web"].error_ratio == pytest.approx(0.03)


def test_a_preset_reads_only_its_own_rows() -> None:
    istio = {"destination_workload_namespace": "shop", "destination_workload": "web"}
    frame = rows(grouped("offered", "web", 12.0), ("istio/offered", istio, 14.0))

    assert table(frame, Watched("shop/web", Preset.ISTIO)).newest()["shop/web"].offered_rps == 14.0
    assert table(frame, Watched("shop/web")).newest()["shop/web"].offered_rps == 12.0


def test_nginx_and_traefik_name_services() -> None:
    nginx = rows(("nginx-ingress/offered", {**SHOP, "service": "front"}, 5.0))
    traefik = rows(
        ("traefik/offered", {"service": "shop-front-80@kubernetes"}, 5.0),
        ("traefik/offered", {"service": "shop-front-http@kubernetescrd"}, 6.0),
    )

    assert table(nginx, Watched("shop/web", Preset.NGINX_INGRESS)).newest()["shop/web"].offered_rps == 5.0
    assert table(traefik, Watched("shop/web", Preset.TRAEFIK)).newest()["shop/web"].offered_rps == 11.0


def test_two_services_that_traefik_writes_alike_belong_to_nobody() -> None:
    index = PodIndex({}, {"a/b-c": "a/x", "a-b/c": "a-b/y"})
    frame = rows(("traefik/offered", {"service": "a-b-c-80@kubernetes"}, 5.0))

    found = table(frame, Watched("a/x", Preset.TRAEFIK), Watched("a-b/y", Preset.TRAEFIK), index=index)

    assert [one.offered_rps for one in found.newest().values()] == [None, None]


def own(
    labels: Mapping[str, str], *users: str, figure: Figure = Figure.OFFERED
) -> tuple[tuple[Watched, ...], tuple[Answered, ...]]:
    expression = Expression("x", figure)
    watched = tuple(Watched(user, expressions=(expression,)) for user in users)
    query = CustomQuery("x", tuple((user, figure) for user in users))
    return watched, ((query, Frame((labels,), np.array([[33.0]]))),)


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {**SHOP, "workload": "web"},
        {**SHOP, "pod": "web-7d4b9c6f5d-x2x4z"},
        {**SHOP, "pod": "web-7d4b9c6f5d-zzzzz"},  # gone, but its name tells
        {**SHOP, "service": "front"},
    ],
    ids=["the only user", "workload", "pod", "pod of the past", "service"],
)
def test_an_expression_of_a_user_replaces_the_preset(labels: Mapping[str, str]) -> None:
    watched, custom = own(labels, "shop/web")

    seen = table(rows(grouped("offered", "web", 12.0)), *watched, custom=custom).newest()

    assert seen["shop/web"].offered_rps == 33.0


def test_a_row_without_a_name_that_two_workloads_claim_is_nobodys() -> None:
    watched, custom = own({}, "shop/web", "shop/other")

    found = table(None, *watched, custom=custom)

    assert [one.offered_rps for one in found.newest().values()] == [None, None]
    assert found.problems[UnknownReason.AMBIGUOUS] == 1


def test_an_expression_that_failed_makes_its_users_unknown_and_nobody_else() -> None:
    watched, ((query, _),) = own({}, "shop/web")
    frame = rows(grouped("offered", "web", 12.0), grouped("offered", "other", 5.0))

    seen = table(frame, *watched, Watched("shop/other"), custom=((query, None),)).newest()

    assert seen["shop/web"].offered_rps is None
    assert seen["shop/other"].offered_rps == 5.0


def test_latency_of_a_workload_is_that_of_its_slowest_group() -> None:
    index = PodIndex({"shop/a-7d4b9c6f5d-x2x4z": PodFacts("shop/web"), "shop/b-0": PodFacts("shop/web")})
    latency = rows(grouped("latency_p99", "a", 0.2), grouped("latency_p99", "b", 0.7))

    assert table(None, latency=latency, index=index).newest()["shop/web"].latency_p99_s == 0.7


def test_too_few_of_the_pods_that_used_to_report_make_demand_incomplete() -> None:
    coverage = Coverage(Reading())
    joiner = Joiner((Watched("shop/web"),), INDEX, Reading())
    both, one, none = (
        rows(*((f"{OTEL}/requests", {**SHOP, "pod": f"web-7d4b9c6f5d-{pod}"}, 1.0) for pod in pods))
        if pods
        else vector([], 0.0)
        for pods in (("x2x4z", "bbbbb"), ("x2x4z",), ())
    )

    assert coverage.lacking(none, joiner) == set()  # they never reported
    assert coverage.lacking(both, joiner) == set()
    assert coverage.lacking(one, joiner) == set()  # half of them
    assert coverage.lacking(none, joiner) == {"shop/web"}
    assert coverage.lacking(None, joiner) == set()  # nobody was asked


def test_a_pod_that_is_not_ready_is_not_missed() -> None:
    coverage = Coverage(Reading())
    name = "shop/web-7d4b9c6f5d-x2x4z"
    reported = rows((f"{OTEL}/requests", {**SHOP, "pod": "web-7d4b9c6f5d-x2x4z"}, 1.0))
    coverage.lacking(reported, Joiner((Watched("shop/web"),), INDEX, Reading()))

    lame = PodIndex({name: PodFacts("shop/web", serves=False)})

    assert coverage.lacking(vector([], 0.0), Joiner((Watched("shop/web"),), lame, Reading())) == set()
