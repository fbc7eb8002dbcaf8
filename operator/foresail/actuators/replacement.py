"""Make-before-break: a pod leaves its ReplicaSet, which makes another, serves on, and goes by the Eviction API.

Detaching changes nothing but the label `pod-template-hash`, to a value of the pod's own. Services do not select by it,
so the pod keeps its traffic; putting the value back makes the ReplicaSet adopt it again.
"""

from __future__ import annotations

from foresail.actuators import marks, paths, services
from foresail.actuators.api import Api, Json, Reader
from foresail.actuators.patching import ABSENT, find
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.actuators.services import controller
from foresail.actuators.standing import PlainField, Plan, Remembered, Stamp, restored, send, written
from foresail.actuators.targets import WorkloadTarget
from foresail.actuators.traffic import check_pod
from foresail.objects.names import TEMPLATE_HASH_LABEL as HASH_LABEL

HASH = PlainField(marks.DETACHED, ("metadata", "labels", HASH_LABEL))
SAFE_TO_EVICT = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}
LONGEST_S = 600.0  # a detached pod belongs to nobody, so not for long
_ONE_NODE_MODES = {"ReadWriteOnce", "ReadWriteOncePod"}


def detach(api: Api, target: WorkloadTarget, pod_name: str, stamp: Stamp, memory: Remembered) -> bool:
    """Whether something had to be written. Raises `ActRefused`."""
    path = target.pod_path(pod_name)
    pod = api.get(path)
    check_pod(pod, target)
    if marks.read(pod, marks.DETACHED) is None:
        check_replaceable(api, target, pod)
    wanted = unique_hash(pod)
    expires_at_s = min(stamp.expires_at_s, stamp.now_s + LONGEST_S)
    stamp = Stamp(stamp.now_s, expires_at_s, stamp.epoch, stamp.decision)

    def plan(seen: Json) -> Plan | None:
        return written(seen, path, HASH, wanted, stamp, memory, SAFE_TO_EVICT, about=target.key)

    return send(api, path, marks.DETACHED, memory, plan)


def reattach(api: Api, path: str, memory: Remembered) -> bool:
    """Whether something had to be written; False: it was not detached, or somebody put it back."""
    return send(api, path, marks.DETACHED, memory, lambda seen: restored(seen, HASH))


def evict(api: Api, path: str, namespace: str) -> bool:
    """Whether an eviction was asked for; False: the pod is gone or leaving already. Raises `ActRefused`.

    Never a plain delete: who set a budget means it.
    """
    pod = _pod(api, path)
    if pod is None or services.is_leaving(pod):
        return False
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    if marks.read(pod, marks.DETACHED) is None:
        detail = f"{name} was not detached: its ReplicaSet would only make another after it is gone"
        raise ActRefused(RefusalReason.NOT_DETACHED, detail)
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
        "deleteOptions": {"preconditions": {"uid": uid}},
    }
    try:
        api.create(f"{path}/eviction", eviction)
    except ActRefused as refused:
        if refused.reason is RefusalReason.NOT_FOUND:
            return False
        if refused.reason is RefusalReason.THROTTLED:
            raise ActRefused(RefusalReason.DISRUPTION_BUDGET, refused.refused.detail) from refused
        raise
    return True


def end_expired(api: Api, pod: Json, memory: Remembered) -> str:
    """What became of a detached pod whose deadline has passed: `reattached`, or `evicted` where it has no way back."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    path = paths.path(paths.PODS, namespace, name)
    mark = marks.read(pod, marks.DETACHED)
    if mark is None or HASH.read(pod) != mark.written or _has_way_back(api, namespace, str(mark.original)):
        reattach(api, path, memory)
        return "reattached"
    evict(api, path, namespace)
    return "evicted"


def unique_hash(pod: Json) -> str:
    """The same for the same pod, so that detaching twice is detaching once."""
    return f"foresail-{pod['metadata']['uid'].replace('-', '')[:12]}"


def check_replaceable(api: Reader, target: WorkloadTarget, pod: Json) -> None:
    """The preconditions of a replacement, each with a name. Raises `ActRefused`."""
    if target.kind != paths.DEPLOYMENTS:
        detail = f"{target.key} is no Deployment: its pods have identities or another controller"
        raise ActRefused(RefusalReason.NOT_A_DEPLOYMENT, detail)
    deployment = api.get(target.path)
    strategy = find(deployment, "spec", "strategy", "type")
    if strategy not in (ABSENT, "RollingUpdate"):
        detail = f"{target.key}: strategy {strategy} says that two versions must not run side by side"
        raise ActRefused(RefusalReason.NOT_ROLLING_UPDATE, detail)
    _check_settled(deployment, target.key)
    owner = controller(pod)
    if owner is None or owner["kind"] != "ReplicaSet" or find(pod, "metadata", "labels", HASH_LABEL) is ABSENT:
        raise ActRefused(RefusalReason.NOT_THIS_WORKLOADS, f"{pod['metadata']['name']} has no ReplicaSet to leave")
    _check_volumes(api, target.namespace, pod)
    services.check_hash_unselected(api, target.namespace, HASH_LABEL)


def _check_settled(deployment: Json, key: str) -> None:
    observed = find(deployment, "status", "observedGeneration")
    behind = observed is not ABSENT and observed < deployment["metadata"].get("generation", 0)
    updated = find(deployment, "status", "updatedReplicas")
    replicas = find(deployment, "status", "replicas")
    mixed = replicas is not ABSENT and (0 if updated is ABSENT else updated) < replicas
    if behind or mixed or find(deployment, "spec", "paused") is True:
        raise ActRefused(RefusalReason.ROLLOUT, f"{key}: a rollout is under way or paused")


def _check_volumes(api: Reader, namespace: str, pod: Json) -> None:
    volumes = find(pod, "spec", "volumes")
    for volume in () if volumes is ABSENT else volumes:
        claim = find(volume, "persistentVolumeClaim", "claimName")
        if claim is ABSENT:
            continue  # generic ephemeral volumes too: each pod gets its own
        modes = find(api.get(paths.path(paths.CLAIMS, namespace, claim)), "spec", "accessModes")
        if modes is ABSENT or set(modes) & _ONE_NODE_MODES:
            detail = f"{namespace}/{claim} can be mounted on one node only: the replacement could not start"
            raise ActRefused(RefusalReason.READ_WRITE_ONCE, detail)


def _has_way_back(api: Api, namespace: str, template_hash: str) -> bool:
    """Whether the ReplicaSet it came from still wants pods: one that a rollout emptied would kill it on sight."""
    sets = api.items(paths.path(paths.REPLICA_SETS, namespace), f"{HASH_LABEL}={template_hash}")
    return any(find(row, "spec", "replicas") not in (0, ABSENT) for row in sets)


def _pod(api: Api, path: str) -> Json | None:
    try:
        return api.get(path)
    except ActRefused as refused:
        if refused.reason is RefusalReason.NOT_FOUND:
            return None
        raise
