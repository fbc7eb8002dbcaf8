"""The ceiling on optional content, set in every process of a gateway; each forgets it after its time."""

from __future__ import annotations

import math
from pathlib import Path

from foresail.actuators.api import Api, Json
from foresail.actuators.management import PodHttp, control, control_headers, in_parallel, ttl_s
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.actuators.standing import Stamp
from foresail.actuators.targets import WorkloadTarget
from foresail.actuators.traffic import pod_ip, with_ip
from policies.decision import SetBrownout

PATH = "/-/brownout"


def set_brownout(
    api: Api, target: WorkloadTarget, action: SetBrownout, stamp: Stamp, http: PodHttp, token_file: Path | None
) -> list[ActRefused]:
    """Pods that did not take it, when at least one did. Raises `ActRefused` when none did."""
    management = target.management
    if management is None or not management.brownout:
        raise ActRefused(RefusalReason.SWITCHED_OFF, f"{target.key}: its policy names no brownout endpoint")
    if not (math.isfinite(action.ceiling) and 0.0 <= action.ceiling <= 1.0):
        raise ActRefused(RefusalReason.INVALID, f"{target.key}: a ceiling of {action.ceiling}, it must be 0 to 1")
    pods = with_ip(api.items(target.pods_path, target.labels))
    if not pods:
        raise ActRefused(RefusalReason.NO_POD_ANSWERED, f"{target.key} has no running pod")
    headers = control_headers(token_file)
    lifted = action.ceiling >= 1.0
    reason = f"foresail {stamp.decision}"[:200]
    body = {"ceiling": action.ceiling, "ttl_s": ttl_s(stamp.expires_at_s, stamp.now_s), "reason": reason}

    def dim(pod: Json) -> ActRefused | None:
        method, sent = ("DELETE", None) if lifted else ("PUT", body)
        try:
            control(http, str(pod_ip(pod)), management.port, method, PATH, headers, sent)
        except ActRefused as refused:
            return refused
        return None

    failed = in_parallel(dim, pods)
    if len(failed) == len(pods):
        raise failed[0]
    return failed
