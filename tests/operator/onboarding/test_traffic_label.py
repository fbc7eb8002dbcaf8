from __future__ import annotations

import pytest
from onboarding_manifests import (
    LABEL,
    deployment,
    in_order,
    onboarded,
    onboarded_live,
    pod,
    policy,
    replica_set,
    running,
    service,
    stateful_set,
)


def test_nothing_is_left_to_do_where_both_lines_are_there():
    found = onboarded(*in_order())

    assert found.missing == 0
    assert found.workloads[0].steps == ()


def test_the_template_comes_first_then_the_rollout_then_the_service():
    report = onboarded(deployment(label=None), service(label=False)).workloads[0]

    assert [step.command.split(" -p ")[0] for step in report.steps] == [
        "kubectl -n shop patch deployment web --type merge",
        "kubectl -n shop rollout status deployment/web",
        "kubectl -n shop patch service web --type merge",
    ]


def test_patches_hold_the_two_lines_and_nothing_else():
    first, _, last = onboarded(deployment(label=None), service(label=False)).workloads[0].steps

    assert first.change is not None and last.change is not None
    assert first.change.patch == {"spec": {"template": {"metadata": {"labels": {LABEL: "on"}}}}}
    assert last.change.patch == {"spec": {"selector": {LABEL: "on"}}}


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        pytest.param((None, None), "none of 2 Ready pods carries the label: Service web would have no", id="none"),
        pytest.param(("on", None), "1 of 2 Ready pods do not carry the label", id="rolling"),
        pytest.param(("on", "off"), None, id="one-drained-on-purpose"),
        pytest.param(("on", "on"), None, id="all"),
    ],
)
def test_the_service_waits_until_every_pod_carries_the_label(labels, said):
    pods = [pod(f"web-1-{number}", label=label) for number, label in enumerate(labels)]

    report = onboarded_live(running(deployment()), replica_set(), service(label=False), *pods).workloads[0]

    too_early = report.steps[-1].too_early
    assert (too_early is None) if said is None else (said in too_early)


def test_a_service_that_came_too_early_is_an_alarm_with_the_way_back():
    pods = [pod("web-1-a", label=None), pod("web-1-b", label=None)]

    report = onboarded_live(running(deployment(label=None)), replica_set(), service(), *pods).workloads[0]

    alarm = next(finding for finding in report.findings if finding.topic == "label")
    assert "2 of 2 Ready pods do not carry it: they get no traffic now" in alarm.said
    assert f'{{"spec":{{"selector":{{"{LABEL}":null}}}}}}' in alarm.fix


def test_a_service_before_several_workloads_waits_for_all_of_them():
    shared = service(app="web", label=False)
    shared["spec"]["selector"] = {"tier": "front"}
    one, two = deployment(), deployment("old", label=None)
    for made in (one, two):
        made["spec"]["template"]["metadata"]["labels"]["tier"] = "front"

    report = next(r for r in onboarded(one, two, shared).workloads if r.workload == "shop/web")

    assert report.steps[-1].too_early == "deployment/old behind it would be cut off: label their templates first"


def test_a_label_in_the_workloads_own_selector_would_orphan_drained_pods():
    made = deployment()
    made["spec"]["selector"]["matchLabels"][LABEL] = "on"

    report = onboarded(made, service()).workloads[0]

    assert "would be orphaned" in report.findings[0].said
    assert report.missing == 1


@pytest.mark.parametrize(
    ("spec", "steps"),
    [
        pytest.param({"clusterIP": "None", "publishNotReadyAddresses": True}, 0, id="a-roll-call-for-scrapers"),
        pytest.param({"clusterIP": "None"}, 1, id="headless-for-clients-that-choose"),
        pytest.param({}, 1, id="an-entrance"),
    ],
)
def test_only_services_that_bring_traffic_get_the_label(spec, steps):
    report = onboarded(deployment(), service(label=False, **spec)).workloads[0]

    assert len(report.steps) == steps


def test_the_service_that_names_a_stateful_sets_pods_never_gets_it():
    under = policy({"name": "web", "workload": {"kind": "StatefulSet", "name": "web"}})
    names = service("web-names", label=False, clusterIP="None")

    report = onboarded(stateful_set(), names, service(label=False), under=under).workloads[0]

    assert [step.change.name for step in report.steps if step.change] == ["web"]


def test_a_governing_service_that_has_it_must_lose_it():
    under = policy({"name": "web", "workload": {"kind": "StatefulSet", "name": "web"}})

    report = onboarded(stateful_set(), service("web-names", clusterIP="None"), service(), under=under).workloads[0]

    assert "gives the pods their names" in report.findings[0].said


def test_stores_need_no_label():
    store = policy({"name": "web", "workload": {"name": "web"}, "role": "Store"})

    found = onboarded(deployment(label=None), service(label=False), under=store)

    assert found.missing == 0


def test_a_worker_without_a_service_has_nothing_to_be_taken_out_of():
    found = onboarded(deployment(label=None))

    assert found.missing == 0
    assert "no Service selects the pods of web" in found.workloads[0].findings[0].said
