"""The sending process: Locust's client and statistics under our own dispatcher. `python -m chaos.load JOB` runs it.

It speaks JSON lines. Out: `ready`, then `progress` every second, then `finished`. In: one line with the start time.
End of input, SIGINT and SIGTERM end the load early; what is in flight is still taken in.
"""

from __future__ import annotations

import gc
import json
import signal
import sys
import time
from typing import Any

import gevent
import gevent.socket
from gevent.os import nb_read
from locust.env import Environment

from chaos.load.dispatcher import Dispatcher
from chaos.load.job import Job
from chaos.load.ledger import Ledger
from chaos.load.mix import Visits
from chaos.load.orders import Clock
from chaos.load.probe import ProbePlan, Prober
from chaos.load.records import Record, RecordFile, Verdict
from chaos.load.shop_client import ShopClient
from chaos.load.target import checked_target
from chaos.load.visitor import Visitors

PROGRESS_S = 1.0
STOP_GRACE_S = 5.0
MOST_PROBES_IN_FLIGHT = 1000
STDIN = 0


class Engine:
    """One run of one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._visits = Visits.read(job.visits)
        self._environment = Environment(host=job.url, catch_exceptions=False)
        self._environment.events.request.add_listener(self._count)  # type: ignore[no-untyped-call]
        self._client: ShopClient | None = None
        self._ledger = Ledger(job.ledger)
        self._records, self._probe_records = RecordFile(job.records), RecordFile(job.probe_records)
        self._verdicts = dict.fromkeys(Verdict, 0)
        self._stopping = False
        self._stopped_at_s = 0.0

    def run(self) -> int:
        """Carries the job out; the exit status."""
        say(event="ready", arrivals=len(self._visits))
        clock = _clock(_asked_start())
        loads, probes = self._dispatchers(clock)
        both = [loads, *([] if probes is None else [probes])]
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            gevent.signal_handler(signal_number, self._stop, both)
        gevent.spawn(_watch_input, lambda: self._stop(both))
        reporter = gevent.spawn(self._report, clock, both)
        gc.collect()
        gc.freeze()  # the visits stay: they need not be looked at again and again
        cpu_before_s = time.process_time()
        gevent.joinall([gevent.spawn(dispatcher.run) for dispatcher in both], raise_error=True)
        ended_s = clock.now_s()
        self._take_in(both)
        given_up = sum(dispatcher.give_up() for dispatcher in both)
        reporter.kill()
        self._close()
        crashed = next((dispatcher.crashed for dispatcher in both if dispatcher.crashed is not None), None)
        say(
            event="finished",
            stopped=self._stopping,
            ended_s=ended_s,
            given_up=given_up,
            requests=self._environment.stats.total.num_requests,
            cpu_s=time.process_time() - cpu_before_s,
            crashed=None if crashed is None else repr(crashed),
        )
        return 0 if crashed is None else 1

    def _dispatchers(self, clock: Clock) -> tuple[Dispatcher, Dispatcher | None]:
        job, visits = self._job, self._visits
        target = checked_target(job.url, job.allowed_hosts)
        self._client = client = ShopClient(target, self._environment, clock.now_s, job.connection_lifetime_s)
        visitors = Visitors(client, job.catalogue, self._ledger, self._note, clock, job.run_id, job.patience)
        loads = Dispatcher(
            visits.due_s.tolist(),
            lambda index, _: visitors.perform(visits[index]),
            lambda index, _: visitors.skip(visits[index]),
            clock,
            job.most_in_flight,
        )
        if job.probe_hz is None:
            return loads, None
        prober = Prober(
            client, self._ledger, self._probe_records.add, clock, job.run_id, job.probe_products, job.patience
        )
        due_s = ProbePlan(job.probe_hz).due_s(job.duration_s).tolist()
        return loads, Dispatcher(due_s, prober.perform, prober.skip, clock, MOST_PROBES_IN_FLIGHT)

    def _note(self, record: Record) -> None:
        self._verdicts[record.verdict] += 1
        self._records.add(record)

    def _count(
        self, request_type: str, name: str, response_time: float, response_length: int, exception: Any, **_: Any
    ) -> None:
        stats = self._environment.stats
        stats.log_request(request_type, name, round(response_time), response_length)
        if exception is not None:
            stats.log_error(request_type, name, exception)

    def _stop(self, dispatchers: list[Dispatcher]) -> None:
        if not self._stopping:
            self._stopping, self._stopped_at_s = True, time.monotonic()
        for dispatcher in dispatchers:
            dispatcher.stop()

    def _take_in(self, dispatchers: list[Dispatcher]) -> None:
        """Waits for what is in flight: as long as clients wait, less when the run was ended early."""
        patience = self._job.patience
        until_s = time.monotonic() + patience.order_deadline_s + patience.checkout_s
        while any(dispatcher.in_flight for dispatcher in dispatchers) and time.monotonic() < until_s:
            if self._stopping:
                until_s = min(until_s, self._stopped_at_s + STOP_GRACE_S)
            gevent.sleep(0.02)

    def _report(self, clock: Clock, dispatchers: list[Dispatcher]) -> None:
        total, seen, seen_s = self._environment.stats.total, 0, 0.0
        while True:
            gevent.sleep(PROGRESS_S)
            now_s, before, before_s = clock.now_s(), seen, seen_s
            seen, seen_s = total.num_requests, now_s
            self._records.flush()
            self._probe_records.flush()
            say(
                event="progress",
                elapsed_s=now_s,
                in_flight=sum(dispatcher.in_flight for dispatcher in dispatchers),
                rps=(seen - before) / max(1e-9, now_s - before_s),
                p99_ms=total.get_current_response_time_percentile(0.99),
                **{verdict.value: count for verdict, count in self._verdicts.items()},
            )

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._records.close()
        self._probe_records.close()
        self._ledger.close()


def say(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _asked_start() -> float:
    """When to begin, in seconds since the epoch: the first line of input."""
    text = b""
    while not text.endswith(b"\n"):
        gevent.socket.wait_read(STDIN)
        piece = nb_read(STDIN, 1)
        if not piece:
            raise SystemExit("nobody said when to begin: this process is started by `foresail load`")
        text += piece
    return float(json.loads(text)["start_at"])


def _watch_input(stop: Any) -> None:
    """Whoever started us is gone when the input ends: then nobody wants this load any more."""
    while True:
        gevent.socket.wait_read(STDIN)
        if not nb_read(STDIN, 4096):
            stop()
            return


def _clock(start_at: float) -> Clock:
    zero_s = time.monotonic() + (start_at - time.time())
    return Clock(lambda: time.monotonic() - zero_s, lambda s: gevent.sleep(max(0.0, s)), start_at)
