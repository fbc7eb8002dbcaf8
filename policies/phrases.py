"""How reasons read. A phrase is a list of pieces; a piece is left out when one of its facts is missing."""

from __future__ import annotations

from collections.abc import Mapping

from policies.decision import ReasonCode

PHRASES: Mapping[ReasonCode, tuple[str, ...]] = {
    ReasonCode.DEMAND_FITS: (
        "demand stays within what is ready",
        " (at most {demand_rps} at p95 until {at_s}",
        ", ready pods carry {capacity_rps})",
    ),
    ReasonCode.DEMAND_EXPECTED: (
        "demand will need more pods",
        ": {demand_rps} (p95) by {at_s}",
        ", ready pods carry {capacity_rps}",
        ", pods miss the SLO latency beyond {slo_busy_ratio} of what they carry",
        " and new pods need {lead_s}",
    ),
    ReasonCode.DEMAND_DECLARED: (
        "the declared event “{event}” is coming",
        " (demand × {multiplier})",
        ": {demand_rps} (p95) by {at_s}",
        ", ready pods carry {capacity_rps}",
        ", pods miss the SLO latency beyond {slo_busy_ratio} of what they carry",
        " and new pods need {lead_s}",
    ),
    ReasonCode.DEMAND_SURGE: (
        "demand is surging",
        ": the gateway counts {rate_rps} where {known_rps} were known",
        ", {demand_rps} are to come",
        ", ready pods carry {capacity_rps}",
        " and new pods need {lead_s}",
    ),
    ReasonCode.DEMAND_FALLING: (
        "demand is falling",
        ": at most {demand_rps} (p95) by {at_s}",
        ", which {pods_needed} pods carry",
    ),
    ReasonCode.DEMAND_ABOVE_MAX: (
        "demand exceeds what the maximum allows",
        ": {needed_pods} pods needed",
        ", {max_replicas} allowed",
    ),
    ReasonCode.FLOOR_HELD: (
        "the floor is still needed",
        " at {floor}",
        ": {demand_rps} (p95) by {at_s}",
        ", ready pods carry {capacity_rps}",
        ", pods miss the SLO latency beyond {slo_busy_ratio} of what they carry",
    ),
    ReasonCode.FLOOR_EXPIRED: ("the floor has run out and comes down by itself", " from {floor}"),
    ReasonCode.FAILURE_EXPECTED: (
        "{pod} is expected to fail",
        " at its {signal} limit",
        ": {value} of {limit} now",
        ", there around {hit_at_s}",
        ", {probability} likely to come before help would",
        " (acting at {threshold})",
        "; {pods_at_risk} pods are at risk",
        " and replacing them takes {replacing_all_s}",
        "; the cause is {cause}, which replacing pods does not mend",
        "; out until {until_s}",
    ),
    ReasonCode.FAILURE_PRESENT: (
        "it is failing now",
        " ({database} has no working primary)",
        ", which is left to {left_to}",
        ": {failed_ratio} of requests fail",
        " at {rate_rps}",
    ),
    ReasonCode.FAILURE_UNLIKELY: (
        "failure is unlikely",
        ": {pod} hits its {signal} limit in time to worry with {probability}",
    ),
    ReasonCode.OUTLIER: (
        "{pod} is worse than its peers",
        ": {signal} {value} against {peers}",
        "; out until {until_s}",
    ),
    ReasonCode.REPLACEMENT_READY: ("the replacement of {pod} serves", " and the old pod is gone{gone}"),
    ReasonCode.REPLACEMENT_WAITING: ("waiting for the capacity that lets {pod} go", " ({phase})"),
    ReasonCode.REPLACEMENT_UNDONE: ("the replacement of {pod} did not work out and is undone",),
    ReasonCode.RECOVERED: (
        "recovered",
        ": {pod}",
        ": zone {zone}",
        ", well for {seconds}",
        ", {signal} now fails it in time to worry with only {probability}",
        "; {capacity_rps} stand against {demand_rps}",
        "; {failed_ratio} of requests fail",
    ),
    ReasonCode.PROBES_FAILED: (
        "{pod} answers nobody",
        " ({vantage_points} vantage points tried)",
    ),
    ReasonCode.NODE_DOWN: ("node {node} is dead", " and {pod} with it"),
    ReasonCode.ZONE_DOWN: (
        "zone {zone} is failing",
        " and {pod} with it",
        ": {ailing} of {pods} pods ail",
        ", {nodes_down} nodes are down",
    ),
    ReasonCode.PRIMARY_AT_RISK: (
        "the primary {primary} of {database} is at risk",
        ": its node {node} is down",
        ": its zone {zone} has to leave",
        ": {signal} {value} of {limit}",
        ", limit reached around {hit_at_s}",
        " ({probability} likely)",
    ),
    ReasonCode.CAPACITY_LATE: (
        "pods cannot come in time",
        ": {at} is asked for {demand_rps}",
        ", carries {capacity_rps}",
        " and new pods need {lead_s}",
        " ({probability} likely)",
    ),
    ReasonCode.BROWNOUT_FUTILE: (
        "dimming has not helped",
        ": {failed_ratio} of requests still fail after {seconds}",
    ),
    ReasonCode.EXPIRED: ("the act ran out", ": {pod}"),
    ReasonCode.NO_METRICS: (
        "metrics are missing, so everything is held",
        " (newest {age_s} old)",
    ),
    ReasonCode.CAPACITY_UNKNOWN: ("what a pod carries is not known before it has served, so its floor is left alone",),
    ReasonCode.NO_FORECAST: ("there is no forecast", " ({reason})", " for {workload}", ", so zone {zone} stays"),
    ReasonCode.STALE_OBJECTS: ("the cluster's objects cannot be read freshly, so nothing is touched",),
    ReasonCode.NOTHING_TO_DO: ("nothing needs doing",),
    ReasonCode.PAUSED: ("acting is paused", " by {by}"),
    ReasonCode.KILL_SWITCH: ("the kill switch is on",),
    ReasonCode.CLUSTER_UNHEALTHY: (
        "the cluster itself is unhealthy",
        ": {healthy_ratio} of the nodes are ready",
        ", {floor} are required",
    ),
    ReasonCode.TOKEN_TAKEN: ("another act runs on this workload", " ({kind}", " of {target})"),
    ReasonCode.DRAIN_CAP: (
        "too many pods would be out of rotation",
        ": {drained} of {pods} already are",
        ", {cap} allowed",
    ),
    ReasonCode.LAST_ENDPOINT: (
        "too few endpoints would be left",
        " of {endpoints}",
        " while {disruptions_allowed} may be evicted by others",
    ),
    ReasonCode.COOLDOWN: ("the last act is too recent", ", {left_s} to wait"),
    ReasonCode.STORM: ("too many acts at once, all stopped", ": {acts} within {window_s}", ", {most} allowed"),
    ReasonCode.ROLLOUT: ("a rollout is in progress",),
    ReasonCode.FOREIGN_CORDON: ("somebody else is emptying a node under it", " ({node})"),
    ReasonCode.RUNG_NOT_ALLOWED: ("the policy does not allow this", ": up to {highest_rung}", ", not {rung}"),
    ReasonCode.CONFIDENCE_TOO_LOW: ("not sure enough", ": {confidence}", ", {needed} needed for {rung}"),
    ReasonCode.NO_ROOM: ("no room for more pods", ": {needed_pods} needed", ", {room_pods} more fit"),
    ReasonCode.COST_CAP: (
        "the day's cap on extra pod-hours is spent",
        " ({spent_pod_hours} of {cap_pod_hours})",
    ),
    ReasonCode.NO_CANDIDATE: ("no member of {database} can take over", ": {why}"),
    ReasonCode.REMAINING_ZONES_TOO_SMALL: (
        "the other zones cannot carry the load without zone {zone}",
        ": {workload} needs {demand_rps} (p90)",
        ", they carry {capacity_rps}",
    ),
    ReasonCode.CONTESTED: (
        "somebody else keeps undoing it, so it is left to them",
        " until {until_s}",
        " (found {found})",
    ),
    ReasonCode.MODE: ("the policy's mode is {mode}, so this is only shown",),
    ReasonCode.CALIBRATION_POOR: (
        "the forecast has not earned trust lately",
        " ({reached} of outcomes reached the 80 % band",
        " (coverage {coverage}",
        " (coverage of the 98 % band {coverage98}",
        " (skill {skill}",
        ", at least {least} needed)",
    ),
    ReasonCode.AUTONOMY_LOWERED: (
        "disruptive acts on its {signal} forecast are down to {mode}",
        ": it has not earned trust lately",
        " for {doubted} of {forecasts}",
        " ({reached} of outcomes reached the 80 % band",
        " (coverage {coverage}",
        " (coverage of the 98 % band {coverage98}",
        " (skill {skill}",
        ", at least {least} needed)",
    ),
}

#: Words for signals as they read in "its … limit".
SIGNALS: Mapping[str, str] = {
    "memory": "memory",
    "connection_pool": "connection pool",
    "disk": "disk",
    "queue": "queue",
    "latency": "latency",
    "errors": "error",
    "replication_lag": "replication lag",
}
