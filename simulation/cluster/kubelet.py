"""The kubelets: containers start, are probed, crash, back off, start again and end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from simulation.cluster.ground import Ground
from simulation.cluster.nodes import Node
from simulation.cluster.pods import Pod, Stage
from simulation.cluster.probing import start_probes
from simulation.cluster.slots import Slots
from simulation.cluster.usage import Usage
from simulation.cluster.vitals import LEAST_SPEED, Vitals
from simulation.kernel.engine import Notice, NoticeKind, PodState
from simulation.streams import lognormal

BACK_OFF_FIRST_S = 10.0
BACK_OFF_LONGEST_S = 300.0
BACK_OFF_FORGOTTEN_S = 600.0  # without a crash
RESTART_S = 1.0  # until the kubelet has seen an exit and made the container again
DRAIN_POLL_S = 0.5
WARM_UP_STEPS = 10
LEAST_CHANGE_OF_SHARE = 0.01
#: A pod that a bad rollout made crashes about so long after it started to listen.
FLAW_SHOWS_S, FLAW_SPREAD = 25.0, 0.3


class Kubelet:
    """All nodes' kubelets.

    They tell others: `changed` a pod's state, `started` to listen, `gone`, and `retire` a slot that some may still
    send to.
    """

    def __init__(
        self,
        ground: Ground,
        nodes: Mapping[str, Node],
        usage: Usage,
        vitals: Vitals,
        slots: Slots,
        *,
        changed: Callable[[Pod], None],
        started: Callable[[Pod], None],
        gone: Callable[[Pod], None],
        retire: Callable[[str, int], None],
    ) -> None:
        self._ground = ground
        self._nodes = nodes
        self._usage = usage
        self._vitals = vitals
        self._slots = slots
        self._changed = changed
        self._started = started
        self._gone = gone
        self._retire = retire

    # A pod comes

    def take(self, pod: Pod) -> None:
        """The scheduler gave this pod to its node. A node without contact never hears of it."""
        pod.stage = Stage.BOUND
        if not self._node(pod).reachable:
            return
        pod.started_s = self._ground.now_s
        self._later(pod, self._node(pod).pull_s(pod, self._ground.now_s), self._run_container)

    def take_ready(self, pod: Pod) -> None:
        """The pod has been serving since before the run."""
        now_s = self._ground.now_s
        pod.started_s = pod.container_started_s = pod.ready_changed_s = now_s
        self._node(pod).image_there_s.setdefault((pod.service, pod.revision), now_s)
        self._slots.open(pod)
        assert pod.slot is not None
        self._usage.run(pod.slot, pod.spec)
        pod.phase, pod.ready, pod.probe_ok = "Running", True, True
        self._listen(pod, warm=True)

    def _run_container(self, pod: Pod) -> None:
        if pod.slot is None:
            if self._slots.free == 0:
                self._later(pod, BACK_OFF_FIRST_S, self._run_container)
                return
            self._slots.open(pod)
        assert pod.slot is not None
        startup, now_s = pod.spec.startup, self._ground.now_s
        pod.phase, pod.stage = "Running", Stage.STARTING
        pod.container_started_s = now_s
        self._ground.engine.set_state(pod.slot, PodState.REFUSING)
        self._usage.run(pod.slot, pod.spec)
        pod.start_left_s = lognormal(
            startup.time_s, startup.spread, self._ground.seed, "startup", pod.service, pod.ordinal, pod.restarts
        )
        pod.start_paced_s = now_s
        self._usage.set_other_cores(pod.slot, min(startup.cpu_cores, pod.spec.cpu_limit), now_s)
        self._changed(pod)
        self._await_start(pod)

    def _await_start(self, pod: Pod) -> None:
        if pod.start_left_s <= 1e-9:
            self._listen(pod, warm=False)
        else:
            self._later(pod, pod.start_left_s / pod.share, self._check_start)

    def _check_start(self, pod: Pod) -> None:
        """Done, unless the node has been short of CPU meanwhile."""
        if pod.stage is not Stage.STARTING:
            return
        self._pace_start(pod)
        self._await_start(pod)

    def _pace_start(self, pod: Pod) -> None:
        elapsed_s = self._ground.now_s - pod.start_paced_s
        pod.start_left_s = max(0.0, pod.start_left_s - elapsed_s * pod.share)
        pod.start_paced_s = self._ground.now_s

    def _listen(self, pod: Pod, warm: bool) -> None:
        assert pod.slot is not None
        pod.stage = Stage.SERVING
        startup = pod.spec.startup
        pod.warmth = 1.0 if warm or startup.warm_up_s == 0.0 else startup.cold_speed
        self._ground.engine.set_state(pod.slot, PodState.SERVING)
        start_probes(self._ground, pod)
        self._started(pod)
        self._vitals.apply(pod)
        if pod.warmth < 1.0:
            self._later(pod, startup.warm_up_s / WARM_UP_STEPS, self._warm_up)
        if pod.flawed:
            shows_s = lognormal(
                FLAW_SHOWS_S, FLAW_SPREAD, self._ground.seed, "flaw", pod.service, pod.ordinal, pod.restarts
            )
            self._later(pod, shows_s, lambda flawed: self.crash(flawed) if flawed.flawed else None)
        self._changed(pod)

    def _warm_up(self, pod: Pod) -> None:
        startup = pod.spec.startup
        pod.warmth = min(1.0, pod.warmth + (1.0 - startup.cold_speed) / WARM_UP_STEPS)
        self._vitals.set_speed(pod)
        if pod.warmth < 1.0 - 1e-9:
            self._later(pod, startup.warm_up_s / WARM_UP_STEPS, self._warm_up)

    # Probes

    def heed(self, notice: Notice) -> None:
        """A probe's verdict changed."""
        pod = self._slots.pods.get(notice.pod)
        if pod is None or pod.stage is not Stage.SERVING or pod.deleting:
            return
        if notice.kind is NoticeKind.LIVENESS_FAILED:
            self.crash(pod)
            return
        pod.probe_ok = notice.kind is NoticeKind.READY
        self.report(pod)

    def report(self, pod: Pod) -> None:
        """Write the pod's readiness to the API, as far as its kubelet can and the API server answers."""
        node = self._node(pod)
        if not node.reachable:
            return
        ready = pod.probe_ok and pod.stage is Stage.SERVING and node.ready
        if not self._ground.api_up:
            self._ground.when_api(lambda: self.report(pod))
        elif pod.stage is not Stage.GONE and ready != pod.ready:
            self.set_ready(pod, ready)

    def set_ready(self, pod: Pod, ready: bool) -> None:
        pod.ready = ready
        pod.ready_changed_s = self._ground.now_s
        self._changed(pod)

    # A container ends

    def crash(self, pod: Pod) -> None:
        """The container exits now and is started again: at once the first time, then ever later."""
        if pod.slot is None or pod.stage not in (Stage.SERVING, Stage.STARTING):
            return
        if pod.deleting:
            self.remove(pod)
            return
        now_s = self._ground.now_s
        forgotten = pod.last_exit_s is None or now_s - pod.last_exit_s > BACK_OFF_FORGOTTEN_S + pod.back_off_s
        if forgotten:
            pod.back_off_s = 0.0
        wait_s = pod.back_off_s
        pod.back_off_s = min(BACK_OFF_LONGEST_S, 2.0 * pod.back_off_s) if pod.back_off_s else BACK_OFF_FIRST_S
        pod.last_exit_s = now_s
        pod.restarts += 1
        self._stop_container(pod, PodState.REFUSING)
        pod.stage = Stage.BACKING_OFF
        self.report(pod)
        self._changed(pod)
        self._later(pod, RESTART_S + wait_s, self._run_container)

    def _stop_container(self, pod: Pod, state: PodState) -> None:
        """No timer of this container runs any more and nobody gets an answer from it."""
        assert pod.slot is not None
        pod.token += 1
        pod.probe_ok = False
        self._ground.engine.clear_probes(pod.slot)
        self._ground.engine.set_state(pod.slot, state)
        self._usage.set_other_cores(pod.slot, 0.0, self._ground.now_s)
        self._usage.stop(pod.slot)

    def darken(self, pod: Pod) -> None:
        """The node died under the pod: no packet comes back. The API does not know yet."""
        pod.token += 1
        if pod.slot is not None:
            self._stop_container(pod, PodState.DARK)
        pod.stage = Stage.BOUND
        self._changed(pod)

    def reboot(self, pod: Pod) -> None:
        """The node is back: its containers start anew, those deleted meanwhile are cleaned up."""
        if pod.deleting:
            self.remove(pod)
            return
        if pod.started_s is None:
            self.take(pod)
            return
        pod.restarts += 1
        if pod.slot is not None:
            self._ground.engine.set_state(pod.slot, PodState.REFUSING)
        self.report(pod)
        self._later(pod, RESTART_S, self._run_container)

    def hold_down(self, pod: Pod) -> None:
        """The container stops and does not come up again until `let_up`."""
        self.darken(pod)
        self.report(pod)

    def let_up(self, pod: Pod) -> None:
        if pod.stage is Stage.BOUND and pod.slot is not None and self._node(pod).reachable:
            self.reboot(pod)

    # A pod goes

    def delete(self, pod: Pod) -> None:
        """Graceful: out of the endpoints, preStop, then work in flight may finish until the grace is over."""
        if pod.deleting or pod.stage is Stage.GONE:
            return
        pod.deleting = True
        self._changed(pod)
        if pod.node is None:
            self.remove(pod)
        elif self._node(pod).reachable:
            self.end(pod)

    def end(self, pod: Pod) -> None:
        """The kubelet has heard of the deletion."""
        pod.token += 1
        if pod.stage is not Stage.SERVING:
            self._later(pod, RESTART_S, self.remove)
            return
        assert pod.slot is not None
        self._ground.engine.clear_probes(pod.slot)
        deadline_s = self._ground.now_s + pod.spec.termination_grace_s
        self._later(
            pod,
            min(pod.spec.pre_stop_s, pod.spec.termination_grace_s),
            partial(self._drain, deadline_s=deadline_s),
        )

    def _drain(self, pod: Pod, deadline_s: float) -> None:
        assert pod.slot is not None
        engine = self._ground.engine
        idle = not engine.pods.in_progress[pod.slot] and not engine.pods.queued[pod.slot]
        if idle or self._ground.now_s >= deadline_s - 1e-9:
            self.remove(pod)
        else:
            self._later(
                pod, min(DRAIN_POLL_S, deadline_s - self._ground.now_s), partial(self._drain, deadline_s=deadline_s)
            )

    def remove(self, pod: Pod) -> None:
        """The pod is gone from node and API."""
        if pod.stage is Stage.GONE:
            return
        if pod.slot is not None:
            self._stop_container(pod, PodState.REFUSING)
            self._retire(pod.service, self._slots.leave(pod))
        pod.token += 1
        if pod.node is not None:
            self._node(pod).release(pod)
        pod.stage, pod.ready = Stage.GONE, False
        self._gone(pod)

    # A node runs short of CPU

    def set_share(self, pod: Pod, share: float) -> None:
        """The node gives the pod this share of the CPU it wants. A start-up in progress takes longer by it."""
        share = max(LEAST_SPEED, share)
        if share == pod.share or (share < 1.0 and abs(share - pod.share) < LEAST_CHANGE_OF_SHARE):
            return
        if pod.stage is Stage.STARTING:
            self._pace_start(pod)
        pod.share = share
        self._vitals.set_speed(pod)
        if pod.stage is Stage.STARTING:
            pod.token += 1
            self._await_start(pod)

    def _node(self, pod: Pod) -> Node:
        assert pod.node is not None
        return self._nodes[pod.node]

    def _later(self, pod: Pod, delay_s: float, action: Callable[[Pod], None]) -> None:
        """A timer that dies with the pod's present container."""
        token = pod.token

        def run() -> None:
            if pod.token == token:
                action(pod)

        self._ground.agenda.after(delay_s, run)
