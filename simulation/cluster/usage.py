"""CPU and memory of every pod slot: what requests take (from the engine) and what else takes some."""

from __future__ import annotations

import numpy as np

from forecasting.forecast import Floats
from simulation.kernel.engine import Engine
from simulation.topology import Service


class Usage:
    """Accounts by engine slot.

    The engine counts the time that workers are busy. Where they get only a share of the CPU they want, because the node
    is short of it or a burn takes it, the rest of that time is spent waiting and is no CPU use. Start-up and burnt CPU
    run at constant rates between changes, and get what the node gives the pod.
    """

    def __init__(self, engine: Engine, slots: int, start_s: float) -> None:
        self._engine = engine
        self._used_s = np.zeros(slots)  # booked so far
        self._booked_busy_s = np.zeros(slots)
        self._booked_at_s = np.full(slots, start_s)
        self._share = np.ones(slots)  # of what workers want
        self._other_share = np.ones(slots)
        self._base_mib = np.zeros(slots)
        self._per_request_mib = np.zeros(slots)
        self._leak_mib = np.zeros(slots)
        self.other_cores = np.zeros(slots)  # wanted by start-up and burns now
        self.limit_cores = np.zeros(slots)
        self.limit_mib = np.full(slots, np.inf)

    def open(self, slot: int, spec: Service, now_s: float) -> None:
        """A new pod has the slot: its account starts at zero."""
        self._used_s[slot] = 0.0
        self._booked_busy_s[slot] = self._engine.pods.cpu_s[slot]
        self._booked_at_s[slot] = now_s
        self._share[slot] = self._other_share[slot] = 1.0
        self.other_cores[slot] = 0.0
        self.limit_cores[slot] = spec.cpu_limit
        self.limit_mib[slot] = spec.memory_limit_mib

    def close(self, slot: int) -> None:
        """The pod is gone: the slot uses nothing."""
        self.stop(slot)
        self.other_cores[slot] = 0.0
        self.limit_cores[slot] = 0.0
        self.limit_mib[slot] = np.inf

    def run(self, slot: int, spec: Service) -> None:
        """The pod's container runs from now on."""
        self._base_mib[slot] = spec.memory_base_mib
        self._per_request_mib[slot] = spec.memory_per_request_mib

    def stop(self, slot: int) -> None:
        """The container is down: its memory is free."""
        self._base_mib[slot] = 0.0
        self._per_request_mib[slot] = 0.0
        self._leak_mib[slot] = 0.0

    def set_other_cores(self, slot: int, cores: float, now_s: float) -> None:
        """What start-up or a burn wants besides the requests, from now on."""
        self._book(slot, now_s)
        self.other_cores[slot] = cores

    def set_share(self, slot: int, share: float, other_share: float, now_s: float) -> None:
        """Workers get this share of the CPU they want from now on, and what else runs in the pod the other one."""
        self._book(slot, now_s)
        self._share[slot] = share
        self._other_share[slot] = other_share

    def _book(self, slot: int, now_s: float) -> None:
        busy_s = float(self._engine.pods.cpu_s[slot])
        other_s = self.other_cores[slot] * (now_s - self._booked_at_s[slot])
        self._used_s[slot] += (busy_s - self._booked_busy_s[slot]) * self._share[slot]
        self._used_s[slot] += other_s * self._other_share[slot]
        self._booked_busy_s[slot] = busy_s
        self._booked_at_s[slot] = now_s

    def set_leak(self, slot: int, leak_mib: float) -> None:
        """Memory that the container has lost by now."""
        self._leak_mib[slot] = leak_mib

    def cpu_s(self, now_s: float) -> Floats:
        """CPU seconds used since the pod got its slot, by slot: requests, probes, start-up and burns."""
        busy_s = self._engine.pods.cpu_s - self._booked_busy_s
        other_s = self.other_cores * (now_s - self._booked_at_s)
        return np.asarray(self._used_s + busy_s * self._share + other_s * self._other_share)

    def memory_mib(self) -> Floats:
        """Memory in use now, by slot; 0 for free slots."""
        requests = self._engine.pods.in_progress + self._engine.pods.queued
        return np.asarray(self._base_mib + self._leak_mib + self._per_request_mib * requests)

    def memory_of(self, slot: int) -> float:
        requests = int(self._engine.pods.in_progress[slot]) + int(self._engine.pods.queued[slot])
        return float(self._base_mib[slot] + self._leak_mib[slot] + self._per_request_mib[slot] * requests)
