"""Patroni's planned switchover, with leader and candidate by name; never its failover.

What the HTTP answer says is a hint. What happened is read from `/cluster` of whoever answers.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foresail.actuators.api import Api
from foresail.actuators.management import PodHttp
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.actuators.targets import WorkloadTarget
from foresail.actuators.traffic import pod_ip, with_ip
from policies.decision import SwitchOver

SYNCHRONOUS = frozenset({"sync_standby", "quorum_standby"})
LEADERS = frozenset({"leader", "master", "primary"})
WELL = frozenset({"running", "streaming"})


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The database cluster as one of its members sees it."""

    leader: str | None
    roles: Mapping[str, str]
    states: Mapping[str, str]
    paused: bool
    scheduled: bool  # a switchover is planned already


def member_urls(api: Api, target: WorkloadTarget) -> dict[str, str]:
    """REST addresses by pod name, which is how Patroni names its members on Kubernetes."""
    labels = ",".join(f"{key}={value}" for key, value in sorted(target.patroni_members.items()))
    labelled = with_ip(api.items(target.pods_path, labels)) if labels else []
    pods = labelled or with_ip(api.items(target.pods_path, target.labels))
    return {pod["metadata"]["name"]: f"http://{_host(str(pod_ip(pod)))}:{target.patroni_port}" for pod in pods}


def cluster_view(http: PodHttp, urls: Mapping[str, str], first: str) -> ClusterView:
    """As told by `first` where it answers, else by any member. Raises `DATABASE_SILENT`."""
    why = "it has no running pod"
    for name in sorted(urls, key=lambda name: (name != first, name)):
        try:
            answer = http.request("GET", f"{urls[name]}/cluster")
        except ActRefused as refused:
            why = refused.refused.detail
            continue
        view = _parsed(answer.body)
        if view is not None:
            return view
        why = f"{name} answered {answer.status} without members"
    raise ActRefused(RefusalReason.DATABASE_SILENT, f"nobody answers /cluster: {why}")


def check(view: ClusterView, action: SwitchOver, urls: Mapping[str, str]) -> None:
    """Raises unless a switchover as asked for loses no committed transaction."""
    if action.leader not in urls:
        raise ActRefused(RefusalReason.DATABASE_SILENT, f"{action.database}: {action.leader} has no address")
    if view.paused:
        raise ActRefused(RefusalReason.DATABASE_PAUSED, f"{action.database}: Patroni is in maintenance mode")
    if view.leader != action.leader:
        detail = f"{action.database}: {view.leader or 'nobody'} leads, not {action.leader}"
        raise ActRefused(RefusalReason.LEADER_CHANGED, detail)
    if view.scheduled:
        raise ActRefused(RefusalReason.SWITCHOVER_REJECTED, f"{action.database}: somebody scheduled a switchover")
    role, state = view.roles.get(action.candidate, "no member"), view.states.get(action.candidate, "unknown")
    if role not in SYNCHRONOUS or state not in WELL:
        detail = f"{action.database}: {action.candidate} is {role}, {state}: not a synchronous standby that works"
        raise ActRefused(RefusalReason.CANDIDATE_NOT_SYNC, detail)


def ask(http: PodHttp, url: str, action: SwitchOver, headers: dict[str, str]) -> ActRefused | None:
    """Sends the request to a member. What it said against it, None: accepted, or not known."""
    body = {"leader": action.leader, "candidate": action.candidate}
    try:
        answer = http.request("POST", f"{url}/switchover", headers, body)
    except ActRefused as refused:
        # Patroni answers when it is over, which takes longer than we wait: silence is no objection.
        return None if refused.reason is RefusalReason.NO_POD_ANSWERED else refused
    if answer.status in (401, 403):
        return ActRefused(RefusalReason.NO_CREDENTIALS, f"{action.database}: Patroni answers {answer.status}")
    if answer.status >= 400:
        return ActRefused(RefusalReason.SWITCHOVER_REJECTED, f"{action.database}: Patroni answers {answer.status}")
    return None


def authorization(credentials: Path | None) -> dict[str, str]:
    """`user:password` out of a mounted file, read anew each time; None: the REST API asks for none."""
    if credentials is None:
        return {}
    try:
        pair = credentials.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ActRefused(RefusalReason.NO_CREDENTIALS, f"Patroni credentials: {error}") from error
    if ":" not in pair:
        raise ActRefused(RefusalReason.NO_CREDENTIALS, f"Patroni credentials: {credentials} must hold user:password")
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _parsed(body: Any) -> ClusterView | None:
    if not isinstance(body, dict) or not isinstance(body.get("members"), list):
        return None
    members = [member for member in body["members"] if isinstance(member, dict) and isinstance(member.get("name"), str)]
    roles = {member["name"]: str(member.get("role", "")) for member in members}
    leaders = [name for name, role in roles.items() if role in LEADERS]
    return ClusterView(
        leader=leaders[0] if len(leaders) == 1 else None,
        roles=roles,
        states={member["name"]: str(member.get("state", "")) for member in members},
        paused=body.get("pause") is True,
        scheduled=bool(body.get("scheduled_switchover")),
    )


def _host(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
