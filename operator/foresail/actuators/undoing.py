"""Everything of ours taken back before an uninstall: the Lease first, then one pass a minute until floors are down."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from foresail.actuators.refusals import HOPELESS
from foresail.actuators.revert import Reverted, Reverter, Undone
from foresail.leadership.lease import LeaseApi, LeaseConflict, LeaseRecord, LeaseUnavailable, micro_time

PASS_PERIOD_S = 60.0
RETRY_S = 5.0
SEIZE_ATTEMPTS = 10
LONGEST_WAIT_S = 60.0  # for a former leader whose Lease claims to last longer
LEFT_S = 60.0  # the pods of an operator that is being uninstalled are gone by then


def seize(
    lease: LeaseApi, identity: str, duration_s: float, wall: Callable[[], float], sleep: Callable[[float], None]
) -> int:
    """Takes the Lease whoever holds it, and waits until no former leader can still be writing. Answers the epoch.

    Raises `LeaseUnavailable`.
    """
    for _ in range(SEIZE_ATTEMPTS):
        found = lease.read()
        now = micro_time(wall())
        try:
            if found is None:
                return lease.create(LeaseRecord(identity, duration_s, 1, now, now)).transitions
            ours = replace(
                found,
                holder=identity,
                duration_s=duration_s,
                transitions=found.transitions + 1,
                acquired=now,
                renewed=now,
            )
            epoch = lease.replace(ours).transitions
        except LeaseConflict:
            continue
        if found.holder:
            sleep(min(LONGEST_WAIT_S, found.duration_s))
        return epoch
    raise LeaseUnavailable(f"the Lease changed {SEIZE_ATTEMPTS} times while it was being taken")


def leave(lease: LeaseApi, identity: str, wall: Callable[[], float]) -> None:
    """Holds the Lease for a minute longer and not for all that was asked for: whoever installs anew waits for its end.

    Nothing happens where somebody else holds it by now. Raises `LeaseUnavailable`.
    """
    found = lease.read()
    if found is None or found.holder != identity:
        return
    with suppress(LeaseConflict):
        lease.replace(replace(found, duration_s=min(LEFT_S, found.duration_s), renewed=micro_time(wall())))


def undo_all(
    reverter: Reverter, within_s: float | None, wall: Callable[[], float], sleep: Callable[[float], None]
) -> Reverted:
    """Pass by pass until nothing is pending. `within_s`: floors that are not down by then go down at once.

    What could not be taken back is in `refused`. An API server that is away is waited for as long as time is left.
    """
    begun_s = wall()
    undone: dict[tuple[str, str], Undone] = {}
    while True:
        left_s = None if within_s is None else within_s - (wall() - begun_s)
        done = reverter.all(wall(), None if left_s is None else max(0, int(left_s // PASS_PERIOD_S)))
        undone.update({(step.act, step.path): step for step in done.undone})
        hopeless = any(refused.reason in HOPELESS for refused in done.refused)
        if not done.pending and not (hopeless and left_s is not None and left_s > 0.0):
            return Reverted(tuple(undone.values()), 0, done.refused)
        if left_s is not None and left_s <= 0.0 and hopeless:
            return Reverted(tuple(undone.values()), done.pending, done.refused)
        pause_s = RETRY_S if hopeless else PASS_PERIOD_S
        sleep(pause_s if left_s is None else max(0.0, min(pause_s, left_s)))
