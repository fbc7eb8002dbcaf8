"""A PostgreSQL cluster under Patroni: who is primary, who follows how far behind, and how that changes.

Members are ordinary pods; the Service's only endpoint is the primary.
"""

from __future__ import annotations

from collections.abc import Mapping

from simulation.cluster.endpoints import Endpoints
from simulation.cluster.ground import Ground
from simulation.cluster.nodes import Node
from simulation.cluster.pods import Ailment, Deployment, Pod, Stage
from simulation.cluster.vitals import Vitals
from simulation.kernel.engine import PodState
from simulation.streams import between, lognormal
from simulation.topology import DatabaseSpec

LOOP_WAIT_S = 10.0  # Patroni looks at the cluster this often; the leader renews its lease as often
REJOIN_S = 10.0  # until a former primary follows the new one
OWN_LAG_S = 0.2  # of a healthy standby that replicates asynchronously
SYNC_LAG_LIMIT_S = 5.0  # a standby further behind leaves the synchronous set


class Database:
    """One Patroni cluster. `primary` is a pod's name, None while there is none."""

    def __init__(
        self,
        deployment: Deployment,
        ground: Ground,
        vitals: Vitals,
        endpoints: Endpoints,
        nodes: Mapping[str, Node],
        holds_orders: bool,
    ) -> None:
        assert deployment.spec.database is not None
        self.name = deployment.name
        self.spec: DatabaseSpec = deployment.spec.database
        self.switching = False
        self.extra_lag_s = 0.0  # what a fault adds to every standby's lag
        self.primary: str | None = None
        self.sync: tuple[str, ...] = ()
        self.failovers = 0
        self._deployment = deployment
        self._ground = ground
        self._vitals = vitals
        self._endpoints = endpoints
        self._nodes = nodes
        self._holds_orders = holds_orders
        self._started_s = ground.now_s
        self._filled_mib: dict[str, float] = {}  # by faults, per member's volume
        self._lost_s: float | None = None  # since when the primary does not serve
        self._following_from_s: dict[str, float] = {}
        self._changes = 0

    @property
    def members(self) -> tuple[Pod, ...]:
        return tuple(pod for pod in self._deployment.pods if not pod.deleting)

    def start(self) -> None:
        if self.members:
            self.primary = self.members[0].name
        self._choose_sync()

    def endpoint_pods(self) -> list[Pod]:
        """Where the Service sends transactions."""
        return [pod for pod in self.members if pod.name == self.primary and pod.endpoint and not self.switching]

    # What people and Patroni can see

    def healthy(self, pod: Pod) -> bool:
        """It runs and reaches the others."""
        return pod.stage is Stage.SERVING and pod.node is not None and self._nodes[pod.node].reachable

    @property
    def standbys(self) -> tuple[Pod, ...]:
        return tuple(pod for pod in self.members if pod.name != self.primary)

    def follows(self, pod: Pod) -> bool:
        """It is a standby that could be promoted."""
        return (
            pod.name != self.primary
            and self.healthy(pod)
            and self._following_from_s.get(pod.name, self._started_s) <= self._ground.now_s
        )

    def lag_of(self, member: str) -> float:
        """Seconds that a member's data are old; 0 for the primary."""
        if member == self.primary:
            return 0.0
        return self.extra_lag_s + (0.0 if member in self.sync else OWN_LAG_S)

    @property
    def lag_s(self) -> float:
        """The lag of the standby that is furthest behind."""
        return max((self.lag_of(pod.name) for pod in self.standbys), default=0.0)

    def disk_of(self, member: str) -> float:
        """MiB used on a member's volume."""
        grown = self.spec.disk_growth_mib_per_hour * (self._ground.now_s - self._started_s) / 3600.0
        return min(self.spec.disk_mib, self.spec.disk_used_mib + grown + self._filled_mib.get(member, 0.0))

    @property
    def disk_used_mib(self) -> float:
        """MiB used on the primary's volume."""
        return self.disk_of(self.primary) if self.primary is not None else 0.0

    # Faults

    def fill_disk(self, member: str, mib: float) -> None:
        """Something besides the data takes so much of a member's volume."""
        self._filled_mib[member] = mib
        self.check_disks()

    def check_disks(self) -> None:
        """A member whose volume is full answers errors until there is room again."""
        for pod in self.members:
            full = self.disk_of(pod.name) >= self.spec.disk_mib
            self._vitals.afflict(pod, f"disk/{self.name}", Ailment(error_ratio=1.0) if full else None)

    def set_extra_lag(self, lag_s: float) -> None:
        """Standbys fall behind. While one is still in the synchronous set, transactions wait for it."""
        self.extra_lag_s = lag_s
        self._choose_sync()
        waits = Ailment(extra_wait_s=lag_s) if self.sync and lag_s > 0.0 else None
        for pod in self.members:
            self._vitals.afflict(pod, f"lag/{self.name}", waits if pod.name == self.primary else None)

    # Patroni at work

    def look(self) -> None:
        """A member changed: notice a lost primary or standby."""
        self._choose_sync()
        if self.switching or self.primary is None:
            return
        serves = any(pod.name == self.primary and self.healthy(pod) for pod in self.members)
        if serves:
            self._lost_s = None
        elif self._lost_s is None:
            self._lost_s = self._ground.now_s
            self._changes += 1
            ttl_s = self.spec.lease_ttl_s
            lapse_s = between(max(0.0, ttl_s - LOOP_WAIT_S), ttl_s, *self._key("lapse"))
            lost_s = self._lost_s
            self._ground.agenda.after(lapse_s, lambda: self._lapse(lost_s))

    def _lapse(self, lost_s: float) -> None:
        """The leader's lease has run out: the best standby is promoted, if there is one."""
        if self._lost_s != lost_s or self.switching:
            return
        self._changes += 1
        promote_s = lognormal(self.spec.promote_s, self.spec.checkpoint_spread, *self._key("promote"))
        self._ground.agenda.after(promote_s, lambda: self._promote(lost_s))

    def _promote(self, lost_s: float) -> None:
        if self._lost_s != lost_s or self.switching:
            return
        candidates = sorted(
            (pod for pod in self.standbys if self.follows(pod)),
            key=lambda pod: (pod.name not in self.sync, pod.ordinal),
        )
        if not candidates:
            self._ground.agenda.after(LOOP_WAIT_S, lambda: self._lapse(lost_s))
            return
        chosen = candidates[0]
        behind_s = self.lag_of(chosen.name)
        if behind_s > 0.0 and self._holds_orders:
            self._ground.engine.lose_commits(lost_s - behind_s)
        self.failovers += 1
        self._lost_s = None
        self._lead(chosen.name)
        self._endpoints.touch(self.name)

    def _lead(self, member: str) -> None:
        former = self.primary
        self.primary = member
        if former is not None:
            self._following_from_s[former] = self._ground.now_s + REJOIN_S
            self._ground.agenda.after(REJOIN_S, self._choose_sync)
        self.sync = ()
        self._choose_sync()
        self.set_extra_lag(self.extra_lag_s)

    def switch_over(self, candidate: str) -> bool:
        """Planned: the primary stops, the candidate catches up and takes over. False: refused, nothing happens."""
        primary = next((pod for pod in self.members if pod.name == self.primary), None)
        chosen = next((pod for pod in self.standbys if pod.name == candidate), None)
        if primary is None or chosen is None or self.switching or not self.healthy(primary) or not self.follows(chosen):
            return False
        if self.spec.synchronous and candidate not in self.sync:
            return False
        self.switching = True
        self._changes += 1
        gap_s = lognormal(self.spec.switchover_s, self.spec.checkpoint_spread, *self._key("switchover"))
        self._endpoints.publish(self.name)
        assert primary.slot is not None
        self._ground.engine.set_state(primary.slot, PodState.REFUSING)
        self._ground.agenda.after(gap_s + self.lag_of(candidate), lambda: self._finish(primary, candidate))
        return True

    def _finish(self, former: Pod, candidate: str) -> None:
        self.switching = False
        if former.slot is not None and former.stage is Stage.SERVING and self.healthy(former):
            self._ground.engine.set_state(former.slot, PodState.SERVING)
        if any(pod.name == candidate and self.follows(pod) for pod in self.standbys):
            self._lead(candidate)
        self._endpoints.publish(self.name)
        self.look()

    def _choose_sync(self) -> None:
        """One following standby, the one chosen before if it still follows. Losing it stalls commits for a moment."""
        if not self.spec.synchronous:
            return
        following = [pod.name for pod in self.standbys if self.follows(pod)]
        if self.extra_lag_s > SYNC_LAG_LIMIT_S:
            following = []
        lost = any(member not in following for member in self.sync)
        kept = tuple(member for member in self.sync if member in following)
        self.sync = kept or tuple(following[:1])
        if lost and self.extra_lag_s == 0.0:
            self._stall()

    def _stall(self) -> None:
        """Commits wait for the lost standby until Patroni's next look takes it off the list."""
        primary = next((pod for pod in self.members if pod.name == self.primary), None)
        if primary is None:
            return
        self._changes += 1
        stall_s = between(0.0, LOOP_WAIT_S, *self._key("stall"))
        cause = f"stall/{self.name}"
        self._vitals.afflict(primary, cause, Ailment(extra_wait_s=stall_s))
        self._ground.agenda.after(stall_s, lambda: self._vitals.afflict(primary, cause, None))

    def _key(self, purpose: str) -> tuple[int, str, str, int]:
        return self._ground.seed, purpose, self.name, self._changes
