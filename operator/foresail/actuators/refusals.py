"""Why a write did not happen. Every refusal is a value, for events, metrics and the next decision."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RefusalReason(StrEnum):
    """Named, so that metrics have few labels and people can look each of them up."""

    # the fence
    NOT_LEADING = "not_leading"  # too little lease time left for the request
    SUPERSEDED = "superseded"  # another replica took over the intents
    # the API server
    UNREACHABLE = "unreachable"  # nothing was sent
    UNANSWERED = "unanswered"  # sent, the answer is missing: it may have been done
    FORBIDDEN = "forbidden"  # 401, 403
    NOT_FOUND = "not_found"  # 404
    CONFLICT = "conflict"  # 409
    CHANGED_MEANWHILE = "changed_meanwhile"  # 422: a guard of the patch did not hold
    INVALID = "invalid"  # 400, 422: the API server does not accept the value
    THROTTLED = "throttled"  # 429
    SERVER_ERROR = "server_error"  # 5xx
    # other people's will
    CONTESTED = "contested"  # our value was replaced twice within ten minutes
    MARK_UNREADABLE = "mark_unreadable"  # our own annotation was edited by hand
    NOT_OURS = "not_ours"  # there is nothing of ours to undo
    SCALING_PAUSED = "scaling_paused"  # KEDA's pause, selectPolicy Disabled, replicas 0
    DISRUPTION_BUDGET = "disruption_budget"  # the Eviction API said no
    # what the action assumes
    MALFORMED = "malformed"  # an object of another shape than its kind promises
    UNKNOWN_WORKLOAD = "unknown_workload"
    AMBIGUOUS = "ambiguous"  # two autoscalers for one workload
    NO_AUTOSCALER = "no_autoscaler"
    HAS_AUTOSCALER = "has_autoscaler"
    ALREADY_EXPIRED = "already_expired"
    SWITCHED_OFF = "switched_off"  # an act that the installation does not allow
    POD_LEAVING = "pod_leaving"
    NOT_THIS_WORKLOADS = "not_this_workloads"
    # preconditions of the traffic label, of replacement and of a zone shift
    NO_SERVICE_LISTENS = "no_service_listens"  # no Service selects by the traffic label
    GOVERNING_SERVICE = "governing_service"  # a StatefulSet's headless Service would lose the pod's name
    LAST_ENDPOINT = "last_endpoint"
    NOT_A_DEPLOYMENT = "not_a_deployment"
    NOT_ROLLING_UPDATE = "not_rolling_update"
    READ_WRITE_ONCE = "read_write_once"  # the replacement could not mount the volume
    ROLLOUT = "rollout"
    HASH_SELECTED = "hash_selected"  # a Service selects by pod-template-hash
    NOT_DETACHED = "not_detached"
    SPREAD_COUNTS_CORDONED = "spread_counts_cordoned"  # DoNotSchedule without nodeTaintsPolicy: Honor
    EMPTY_ZONE = "empty_zone"
    # databases, gateways, routes
    LEADER_CHANGED = "leader_changed"
    CANDIDATE_NOT_SYNC = "candidate_not_sync"
    DATABASE_PAUSED = "database_paused"
    DATABASE_SILENT = "database_silent"  # no member answers
    SWITCHOVER_REJECTED = "switchover_rejected"
    NO_CREDENTIALS = "no_credentials"
    NO_POD_ANSWERED = "no_pod_answered"
    CONTROL_OFF = "control_off"  # the process takes no control requests
    ALL_ZERO = "all_zero"
    TOO_SOON = "too_soon"
    NO_ROUTE = "no_route"


#: After one of these the next object would fare no better, and each try may cost a whole time limit.
HOPELESS = frozenset(
    {RefusalReason.NOT_LEADING, RefusalReason.SUPERSEDED, RefusalReason.UNREACHABLE, RefusalReason.UNANSWERED}
)


@dataclass(frozen=True, slots=True)
class Refused:
    """One write that did not happen. `detail` names the object, and what to do about it where somebody can."""

    reason: RefusalReason
    detail: str


class ActRefused(Exception):
    """Carries a refusal up to the border of the package, where it becomes a value again."""

    def __init__(self, reason: RefusalReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.refused = Refused(reason, detail)

    @property
    def reason(self) -> RefusalReason:
        return self.refused.reason
