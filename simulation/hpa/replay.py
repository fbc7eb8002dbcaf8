"""Replays recorded HPA cases: what our HPA answers to the inputs of each, under the names of the case's `expected`.

Each kind of case asks one part of the algorithm, or one whole sync; every answer comes from the functions that the
simulated controller uses.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulation.hpa import behavior as rates
from simulation.hpa.calculator import group_pods, propose
from simulation.hpa.cases import (
    NO_REQUESTS,
    NOW_S,
    ZERO_AGE_S,
    Fields,
    HpaCasesInvalid,
    behavior_in,
    container_samples_in,
    events_in,
    group_samples_in,
    level_samples_in,
    pods_in,
    policies_in,
    recommendations_in,
    rules_in,
    settings_of,
    tolerance_in,
)
from simulation.hpa.controller import sync
from simulation.hpa.values import (
    AverageValue,
    Behavior,
    ControllerSettings,
    ExternalMetric,
    HpaSpec,
    HpaState,
    MetricSpec,
    MetricStatus,
    ObjectMetric,
    PodPhase,
    PodReadings,
    PodSample,
    PodsMetric,
    PodStatus,
    Readiness,
    Reading,
    Requests,
    ResourceMetric,
    ScaleEvent,
    Seen,
    SeriesReadings,
    UnknownMetric,
    Utilization,
    Value,
)

Answer = dict[str, Any]
Replayer = Callable[[Fields, ControllerSettings], Answer]


def replay_file(path: Path) -> Iterator[dict[str, Any]]:
    """`{"id": …, …the keys of "expected"…}` for every case of the file, in order.

    Raises HpaCasesInvalid for a file that is not of the format, at the case where that shows.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HpaCasesInvalid(f"{path}: cannot be read ({error.strerror}); give the path of a case file") from error
    except (ValueError, RecursionError) as error:
        raise HpaCasesInvalid(f"{path}: not JSON ({error}); give a file with a list of cases") from error
    yield from replay(data, str(path))


def replay(data: object, where: str) -> Iterator[dict[str, Any]]:
    """As `replay_file`, for parsed JSON."""
    document = Fields(where, {"cases": data} if isinstance(data, list) else data)
    if "cases" not in document.data and "derived_cases" not in document.data:
        raise HpaCasesInvalid(f'{where}: has no list "cases"; give a file of the format of hpa_vectors.json')
    constants = _constants(document)
    for name in ("cases", "derived_cases"):
        for position, case in enumerate(document.items(name)):
            yield _replay_case(case, f"{where}, {name}[{position}]", constants)


def _replay_case(data: object, where: str, constants: ControllerSettings) -> dict[str, Any]:
    case = Fields(where, data)
    if "id" not in case.data:
        raise HpaCasesInvalid(f"{where}, field id: expected a number or text, found nothing; give the case an id")
    case.where = f"{where} (id {case.data['id']})"
    expected = case.inner("expected")
    inputs = case.inner("input")
    answer = case.choice("kind", REPLAYERS)(inputs, settings_of(inputs, constants))
    # A null in `expected` is a field that the case names and asserts nothing about.
    return {"id": case.data["id"]} | {
        key: None if asserted is None else answer.get(key) for key, asserted in expected.data.items()
    }


def _constants(document: Fields) -> ControllerSettings:
    """Flags for cases that do not state them: the header's, else production's."""
    header = document.data.get("header")
    given = header.get("test_constants") if isinstance(header, Mapping) else None
    fields = Fields(f"{document.where}, header.test_constants", given or {})
    return settings_of(fields, ControllerSettings(tolerance=fields.number("tolerance", ControllerSettings().tolerance)))


# ------------------------------------------------------------------------------------------- one metric's proposal


def _answer(status: MetricStatus) -> Answer:
    value_m = status.average_m if status.value_m is None else status.value_m
    return {
        "replicas": status.proposal,
        "utilization_pct": status.utilization_pct,
        "raw_average_m": status.average_m,
        "usage_m": value_m,
        "error": None if status.error is None else status.error.value,
    }


def _metric_answer(
    inputs: Fields, settings: ControllerSettings, metric: MetricSpec, pods: Sequence[PodStatus], reading: Reading
) -> Answer:
    current = inputs.integer("current_replicas")
    seen = Seen(current, inputs.integer("status_replicas", current), pods, (reading,))
    return _answer(propose(metric, reading, seen, tolerance_in(inputs, settings), settings, NOW_S))


def _resource_utilization(inputs: Fields, settings: ControllerSettings) -> Answer:
    container = inputs.text("container") if inputs.has("container") else None
    resource = inputs.text("resource", "cpu")
    pods = pods_in(inputs, resource)
    metric = ResourceMetric(Utilization(inputs.positive("target_utilization_pct")), resource, container)
    return _metric_answer(inputs, settings, metric, pods, PodReadings(container_samples_in(inputs, pods, container)))


def _metric_pods(inputs: Fields, settings: ControllerSettings) -> Answer:
    pods = pods_in(inputs)
    metric = PodsMetric("metric", AverageValue(inputs.positive("target_m")))
    return _metric_answer(inputs, settings, metric, pods, PodReadings(level_samples_in(inputs, pods)))


def _series_replayer(make: Callable[[int], MetricSpec]) -> Replayer:
    def replayer(inputs: Fields, settings: ControllerSettings) -> Answer:
        levels_m = tuple(level for level in inputs.amounts("levels_m") if level is not None)
        metric = make(inputs.positive("target_m"))
        return _metric_answer(inputs, settings, metric, pods_in(inputs), SeriesReadings(levels_m))

    return replayer


def _group_pods(inputs: Fields, settings: ControllerSettings) -> Answer:
    is_cpu = inputs.text("resource", "cpu") == "cpu"
    groups = group_pods(pods_in(inputs), group_samples_in(inputs), is_cpu=is_cpu, settings=settings, now_s=NOW_S)
    return {
        "ready_count": groups.ready_count,
        "unready": groups.unready,
        "missing": groups.missing,
        "ignored": groups.ignored,
    }


# ------------------------------------------------------------------------------------------- stabilisation, limits


def _convert_without_behavior(inputs: Fields, settings: ControllerSettings) -> Answer:
    replicas, reason = rates.limit_without_behavior(
        inputs.integer("current_replicas"),
        inputs.integer("desired_replicas"),
        inputs.integer("min", 1),
        inputs.integer("max"),
    )
    return {"replicas": replicas, "condition": reason.value}


def _convert_with_behavior(inputs: Fields, settings: ControllerSettings) -> Answer:
    behavior = Behavior(rules_in(inputs, "scale_up"), rules_in(inputs, "scale_down"))
    up, down = rates.rules_of(behavior, settings)
    replicas, reason = rates.limit_with_behavior(
        inputs.integer("current_replicas"),
        inputs.integer("desired_replicas"),
        inputs.integer("min", 1),
        inputs.integer("max"),
        up=up,
        down=down,
        up_events=events_in(inputs, "up_events"),
        down_events=events_in(inputs, "down_events"),
        now_s=NOW_S,
    )
    return {"replicas": replicas, "condition": reason.value}


def _scale_up_limit(inputs: Fields, settings: ControllerSettings) -> Answer:
    up, _ = rates.rules_of(Behavior(scale_up=rules_in(inputs, "rules")), settings)
    current, ups, downs = _history(inputs)
    return {"limit": rates.scale_up_limit(current, ups, downs, up, NOW_S)}


def _scale_down_limit(inputs: Fields, settings: ControllerSettings) -> Answer:
    _, down = rates.rules_of(Behavior(scale_down=rules_in(inputs, "rules")), settings)
    current, ups, downs = _history(inputs)
    return {"limit": rates.scale_down_limit(current, ups, downs, down, NOW_S)}


def _history(inputs: Fields) -> tuple[int, tuple[ScaleEvent, ...], tuple[ScaleEvent, ...]]:
    return inputs.integer("current_replicas"), events_in(inputs, "up_events"), events_in(inputs, "down_events")


def _stabilize_without_behavior(inputs: Fields, settings: ControllerSettings) -> Answer:
    window_s = inputs.number("window_s", settings.downscale_stabilization_s)
    stabilized = rates.stabilize_without_behavior(
        recommendations_in(inputs), inputs.integer("desired_replicas"), window_s, NOW_S
    )
    return _stabilized(stabilized)


def _stabilize_with_behavior(inputs: Fields, settings: ControllerSettings) -> Answer:
    stabilized = rates.stabilize_with_behavior(
        recommendations_in(inputs),
        inputs.integer("current_replicas"),
        inputs.integer("desired_replicas"),
        up_window_s=inputs.number("scale_up_window_s", 0.0),
        down_window_s=inputs.number("scale_down_window_s", settings.downscale_stabilization_s),
        now_s=NOW_S,
    )
    return _stabilized(stabilized)


def _stabilized(stabilized: rates.Stabilized) -> Answer:
    stored = [replicas for replicas, _ in stabilized.recommendations]
    return {
        "replicas": stabilized.replicas,
        "condition": stabilized.reason.value,
        "stored": stored,
        "stored_length": len(stored),
    }


def _store_scale_event(inputs: Fields, settings: ControllerSettings) -> Answer:
    events = events_in(inputs, "events")
    policies = policies_in(inputs)
    before = rates.change_within(events, inputs.number("query_period_s", 60.0), NOW_S)
    if policies is not None:  # without behavior nothing is stored
        events = rates.store_event(events, policies, inputs.integer("new_change"), NOW_S)
    return {
        "change_in_period_before_store": before,
        "events_after": [{"change": event.change, "outdated": event.outdated} for event in events],
    }


# ------------------------------------------------------------------------------------------------- a whole sync


@dataclass(frozen=True, slots=True)
class _Failing:
    """A metric that the case declares broken."""

    metric: MetricSpec
    word: str


#: Words of `other_metrics` ("failed external metric"), the most telling first.
_FAILING = (
    _Failing(UnknownMetric("unknown"), "invalid"),
    _Failing(ExternalMetric("failing", Value(1000)), "external"),
    _Failing(ObjectMetric("failing", Value(1000)), "object"),
    _Failing(PodsMetric("failing", AverageValue(1000)), "pods"),
    _Failing(ResourceMetric(Utilization(80), container="failing"), "container"),
    _Failing(ResourceMetric(Utilization(80)), "resource"),
)


def _reconcile(inputs: Fields, settings: ControllerSettings) -> Answer:
    current = inputs.integer("spec_replicas")
    others = _failing_metrics(inputs)
    metrics: list[MetricSpec] = [*others]
    readings: list[Reading] = [None] * len(others)
    pods = _running_pods(inputs)
    if inputs.has("cpu_target_pct"):
        metrics.append(ResourceMetric(Utilization(inputs.positive("cpu_target_pct"))))
        readings.append(PodReadings(_fresh_samples(inputs, pods)))
    spec = HpaSpec(
        min_replicas=inputs.integer("min", 1),
        max_replicas=inputs.integer("max"),
        metrics=tuple(metrics),
        behavior=behavior_in(inputs),
        tolerance=tolerance_in(inputs, settings),
    )
    seeded = not isinstance(inputs.data.get("recommendations"), list)
    state = HpaState(
        None if seeded else recommendations_in(inputs), events_in(inputs, "up_events"), events_in(inputs, "down_events")
    )
    seen = Seen(current, inputs.integer("status_replicas", current), pods, tuple(readings))
    decision, after = sync(spec, state, seen, NOW_S, settings)
    return {
        "replicas": decision.desired,
        "condition": decision.reason.value,
        "error": None if decision.error is None else decision.error.value,
        "stored": [replicas for replicas, _ in after.recommendations or ()],
        "stored_length": len(after.recommendations or ()),
    }


def _failing_metrics(inputs: Fields) -> list[MetricSpec]:
    metrics: list[MetricSpec] = []
    for text in inputs.items("other_metrics"):
        known = [failing.metric for failing in _FAILING if failing.word in str(text).lower()]
        if not known:
            words = ", ".join(failing.word for failing in _FAILING)
            raise inputs.wrong("other_metrics", f"texts that name the failing metric by one of {words}")
        metrics.append(known[0])
    return metrics


def _running_pods(inputs: Fields) -> list[PodStatus]:
    """One pod per request: running, ready, started long ago."""
    long_ago_s = NOW_S - ZERO_AGE_S
    return [
        PodStatus(
            f"p{i}",
            PodPhase.RUNNING,
            Readiness.TRUE,
            long_ago_s,
            long_ago_s,
            False,
            NO_REQUESTS if request_m is None else Requests({"container1": {"cpu": request_m}}),
        )
        for i, request_m in enumerate(inputs.amounts("pod_requests_m"))
    ]


def _fresh_samples(inputs: Fields, pods: Sequence[PodStatus]) -> dict[str, PodSample]:
    return {
        f"p{i}": PodSample(usage_m, NOW_S, 60.0)
        for i, usage_m in enumerate(inputs.amounts("pod_usage_m"))
        if usage_m is not None
    }


REPLAYERS: dict[str, Replayer] = {
    "resource_utilization": _resource_utilization,
    "metric_pods": _metric_pods,
    "metric_object_value": _series_replayer(lambda milli: ObjectMetric("metric", Value(milli))),
    "metric_object_average_value": _series_replayer(lambda milli: ObjectMetric("metric", AverageValue(milli))),
    "metric_external_value": _series_replayer(lambda milli: ExternalMetric("metric", Value(milli))),
    "metric_external_average_value": _series_replayer(lambda milli: ExternalMetric("metric", AverageValue(milli))),
    "group_pods": _group_pods,
    "convert_without_behavior": _convert_without_behavior,
    "convert_with_behavior": _convert_with_behavior,
    "scale_up_limit": _scale_up_limit,
    "scale_down_limit": _scale_down_limit,
    "stabilize_without_behavior": _stabilize_without_behavior,
    "stabilize_with_behavior": _stabilize_with_behavior,
    "store_scale_event": _store_scale_event,
    "reconcile": _reconcile,
}
