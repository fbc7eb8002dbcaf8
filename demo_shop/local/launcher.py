"""Starts the whole shop on loopback, keeps it running, and takes it away again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from demo_shop.local import ground as grounds
from demo_shop.local import guardian, leftovers, orphans, state
from demo_shop.local.account import stores_account
from demo_shop.local.credentials import Credentials, kept_credentials
from demo_shop.local.etcd_access import is_healthy, require_password
from demo_shop.local.filling import Filling
from demo_shop.local.ground import Ground
from demo_shop.local.household import Household, Interrupted, StartFailed
from demo_shop.local.loopback import status_of
from demo_shop.local.nursery import Nursery
from demo_shop.local.ports import shop_port
from demo_shop.local.programs import Program, StorePrograms, find_programs
from demo_shop.local.role_plan import plan_roles
from demo_shop.local.store_plan import StorePlan, database_environment, plan_stores
from demo_shop.settings import Role
from demo_shop.stores.patroni import FailoverSettings

START_LIMIT_S = 120.0
STANDBY_CHECK_S = 1.0
LOG_CHECK_S = 5.0
# The shop sells without recommendations while their model is being learned, and at the catalogue's prices until its
# own are made.
OPTIONAL = (Role.RECOMMENDATIONS, Role.PRICING)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line can say."""

    data_dir: Path | None = None
    zones: int = 1
    port: int | None = None
    with_faults: bool = False
    state_file: Path | None = None
    with_roles: bool = True
    products: int = 10_000
    failover: FailoverSettings = field(default_factory=FailoverSettings)


def run(options: Options, say: Callable[[str], None]) -> None:
    """Returns when a signal stopped the shop. Raises `StartFailed` and the errors of its preparation."""
    programs = find_programs()
    account = stores_account()
    port = shop_port(options.port) if options.with_roles else None
    with ExitStack() as last_things:
        ground = grounds.prepare(options.data_dir, account)
        if ground.is_temporary:
            last_things.callback(leftovers.remove_folder, ground.data_dir)
        last_things.enter_context(grounds.locked(ground))
        state_file = options.state_file or ground.data_dir / "state.json"
        watcher = _guardian(ground, state_file)
        last_things.callback(_dismiss, watcher)
        household = Household(account, ground.is_held, say)
        household.own(watcher)
        household.listen()
        last_things.callback(household.close)
        shop = Shop(options, ground, household, state_file, say)
        last_things.callback(shop.stop)
        try:
            shop.start(programs, port)
            shop.keep()
        except Interrupted:
            say("stopping")


class Shop:
    """One run of the shop, from the first process to the last."""

    def __init__(
        self, options: Options, ground: Ground, household: Household, state_file: Path, say: Callable[[str], None]
    ) -> None:
        self._options = options
        self._ground = ground
        self._household = household
        self._say = say
        self._state_file = state_file
        self._url: str | None = None
        self._credentials: Credentials
        self._plan: StorePlan
        self._standby_is_synchronous = False
        self._filling: Filling
        self._is_seeded = self._seed_failed = False

    def start(self, programs: StorePrograms, port: int | None) -> None:
        """Returns when the first page can be served; the standby may still be on its way."""
        options, ground, household = self._options, self._ground, self._household
        self._credentials = credentials = kept_credentials(ground.data_dir / "credentials.json")
        self._plan = plan = plan_stores(ground, programs, credentials, options.failover)
        reach = database_environment(plan, credentials)
        roles = self._roles(reach, port)
        is_fresh = not Path(str(plan.etcd.facts["data_dir"])).exists()
        household.start((plan.etcd, plan.redis))
        nursery = self._nursery(roles)
        household.wait_until("etcd", lambda: is_healthy(plan.etcd_url), START_LIMIT_S)
        require_password(plan.etcd_url, credentials.etcd)
        # The copy of a fresh primary waits until there is something to copy; of kept data, either may be the primary.
        standby = plan.members[1:] if is_fresh else ()
        household.start(plan.members[: len(plan.members) - len(standby)])
        self._filling = filling = Filling(ground, reach, options.products)
        household.own(filling.process)
        household.wait_until("the schema", filling.has_schema, START_LIMIT_S)
        if nursery is None:
            household.start(roles)
        else:
            nursery.go()
            household.wait_until("the roles' nursery", nursery.is_done, START_LIMIT_S)
            household.adopt(roles, nursery.born())
        household.wait_until("the catalogue", filling.can_open, START_LIMIT_S)
        if (failure := filling.failure()) is not None:
            raise StartFailed(f"schema and catalogue: {failure}")
        household.start(standby)
        self._say(f"PostgreSQL on {plan.database_hosts}, Redis, etcd; schema and catalogue are in")
        if port is not None:
            household.wait_until("the first page", self._serves, START_LIMIT_S)
            self._url = f"http://127.0.0.1:{port}"
        self._write_state()

    def keep(self) -> None:
        """Keeps every process running until a signal comes; raises `Interrupted` then."""
        self._say_where()
        check_standby_s = check_logs_s = 0.0
        while True:
            changed = self._household.tick(0.5)
            changed = self._seed_ended() or changed
            now_s = time.monotonic()
            if now_s >= check_standby_s:
                check_standby_s = now_s + STANDBY_CHECK_S
                changed = self._standby_changed() or changed
            if now_s >= check_logs_s:
                check_logs_s = now_s + LOG_CHECK_S
                for keeper in self._household.keepers:
                    keeper.trim_log()
            if changed:
                self._write_state()

    def stop(self) -> None:
        """The gateway first, so that nobody is let in any more; then those behind it, then what they keep."""
        household = self._household
        household.stop([Role.GATEWAY], signal.SIGTERM, gently_s=5.0)
        household.stop([role for role in Role if role is not Role.GATEWAY], signal.SIGTERM, gently_s=5.0)
        # Asked politely, the Patronis of a pair hand the primary to each other for many seconds first; their servers
        # shut down cleanly without them.
        left = leftovers.end_all(self._ground.marker, self._ground.data_dir, gently_s=10.0)
        leftovers.free_shared_memory(self._ground.data_dir)
        self._state_file.unlink(missing_ok=True)
        if left:
            self._say(f"processes {left} would not end; data folder: {self._ground.data_dir}")
            return
        kept = "nothing is left" if self._ground.is_temporary else f"the data stays in {self._ground.data_dir}"
        self._say(f"stopped; {kept}")

    def _roles(self, reach: dict[str, str], port: int | None) -> tuple[Program, ...]:
        if port is None:
            return ()
        options = self._options
        return plan_roles(self._ground, self._credentials, reach, options.zones, port, options.with_faults)

    def _nursery(self, roles: Sequence[Program]) -> Nursery | None:
        """Brings the roles to life together where their orphans come to us; None: each has to be started."""
        if not orphans.adopt_descendants() or not roles:
            return None
        nursery = Nursery(self._ground, roles)
        self._household.own(nursery.process)
        return nursery

    def _serves(self) -> bool:
        roles = [keeper.program for keeper in self._household.keepers if not keeper.program.is_store]
        needed = [program.facts for program in roles if program.role not in OPTIONAL]
        if any(status_of(f"{facts['management_url']}/-/ready") != 200 for facts in needed):
            return False
        gateways = [program.facts for program in roles if program.role == Role.GATEWAY]
        return all(status_of(f"{facts['url']}/", timeout_s=5.0) == 200 for facts in gateways)

    def _seed_ended(self) -> bool:
        """Whether the seed has just become complete; said once when it failed instead."""
        if self._is_seeded or self._seed_failed:
            return False
        if (failure := self._filling.failure()) is not None:
            self._seed_failed = True
            self._say(f"the past and its model did not come in: {failure}")
        self._is_seeded = self._filling.is_complete()
        return self._is_seeded

    def _standby_changed(self) -> bool:
        before = self._standby_is_synchronous
        self._standby_is_synchronous = any(
            status_of(f"{member.facts['patroni_url']}/synchronous", timeout_s=0.3) == 200
            for member in self._plan.members
        )
        if self._standby_is_synchronous and not before:
            self._say("the standby is synchronous: an acknowledged order is in two places")
        elif before and not self._standby_is_synchronous:
            self._say("no synchronous standby at the moment")
        return before != self._standby_is_synchronous

    def _write_state(self) -> None:
        state.write(
            self._state_file,
            state.described(
                self._url,
                self._plan,
                self._credentials,
                self._household.keepers,
                {"pid": os.getpid(), "data_dir": str(self._ground.data_dir), "held_dir": str(self._ground.held)},
                self._standby_is_synchronous,
                self._is_seeded,
                self._options.with_faults,
            ),
        )

    def _say_where(self) -> None:
        metrics = [k.program.facts for k in self._household.keepers if k.program.role == Role.GATEWAY]
        where = f"shop: {self._url}   metrics: {metrics[0]['management_url']}/metrics" if metrics else "stores only"
        self._say(f"{where}   state: {self._state_file}   stop: Ctrl-C")


def _guardian(ground: Ground, state_file: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", guardian.__name__, "--marker", ground.marker]
    command += ["--data-dir", str(ground.data_dir), "--state-file", str(state_file)]
    return subprocess.Popen(
        [*command, "--remove"] if ground.is_temporary else command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _dismiss(watcher: subprocess.Popen[bytes]) -> None:
    watcher.communicate(guardian.DONE)
