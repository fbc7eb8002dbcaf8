import asyncio
from collections.abc import Awaitable, Callable

import pytest
from prometheus_client import CollectorRegistry

from demo_shop.frame import health as health_module
from demo_shop.frame.health import Health


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def found(answer: str | None) -> Callable[[], Awaitable[str | None]]:
    async def check() -> str | None:
        return answer

    return check


async def _raises() -> str | None:
    raise ConnectionError("connection refused")


async def _hangs() -> str | None:
    await asyncio.Event().wait()
    return None


def look(health: Health) -> None:
    asyncio.run(health.look())


def test_a_process_is_not_ready_before_it_has_looked() -> None:
    clock = Clock()
    health = Health(clock)
    health.ready_when("postgres", found(None))

    readiness = health.readiness(clock())

    assert not readiness.ready
    (check,) = readiness.checks
    assert (check.ok, check.why, check.age_s) == (None, "not checked yet", None)


def test_a_process_without_checks_is_ready_once_it_runs() -> None:
    clock = Clock()
    health = Health(clock)
    assert not health.readiness(clock()).ready

    look(health)

    assert health.readiness(clock()).ready


def test_ready_when_every_needed_check_is_fine() -> None:
    clock = Clock()
    health = Health(clock)
    health.ready_when("postgres", found(None))
    health.ready_when("redis", found("PONG did not come"))

    look(health)
    clock.now_s += 2

    readiness = health.readiness(clock())
    assert not readiness.ready
    assert [(c.name, c.ok, c.why, c.age_s) for c in readiness.checks] == [
        ("postgres", True, None, 2.0),
        ("redis", False, "PONG did not come", 2.0),
    ]


def test_what_a_check_raises_is_its_finding() -> None:
    clock = Clock()
    health = Health(clock)
    health.ready_when("postgres", _raises)

    look(health)

    assert health.readiness(clock()).checks[0].why == "ConnectionError: connection refused"


def test_a_time_out_of_the_checks_own_is_told_in_its_words() -> None:
    async def check() -> str | None:
        raise TimeoutError("connecting took 0.2 s")

    clock = Clock()
    health = Health(clock)
    health.ready_when("postgres", check)

    look(health)

    assert health.readiness(clock()).checks[0].why == "TimeoutError: connecting took 0.2 s"


def test_a_check_that_hangs_is_cut_off_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "CHECK_TIMEOUT_S", 0.01)
    clock = Clock()
    health = Health(clock)
    health.ready_when("postgres", _hangs)
    health.ready_when("redis", found(None))

    look(health)

    postgres, redis = health.readiness(clock()).checks
    assert (postgres.ok, postgres.why) == (False, "no answer within 0.01 s")
    assert redis.ok


def test_old_results_are_not_believed() -> None:
    clock = Clock()
    health = Health(clock)
    health.ready_when("postgres", found(None))
    look(health)

    clock.now_s += 5
    assert health.readiness(clock()).ready
    clock.now_s += 1

    readiness = health.readiness(clock())
    assert not readiness.ready
    assert readiness.checks[0].why == "the last result is 6 s old"


def test_what_is_only_reported_makes_nothing_unready() -> None:
    clock = Clock()
    health = Health(clock)
    health.report_when("recommendations", found("away"))

    look(health)

    readiness = health.readiness(clock())
    assert readiness.ready
    assert (readiness.checks[0].needed, readiness.checks[0].ok, readiness.checks[0].why) == (False, False, "away")


def test_a_veto_counts_at_once() -> None:
    clock = Clock()
    health = Health(clock)
    vetoes: list[str] = []
    health.unready_while(lambda now_s: vetoes[0] if vetoes else None)
    look(health)
    assert health.readiness(clock()).ready

    vetoes.append("draining")

    readiness = health.readiness(clock())
    assert not readiness.ready
    assert (readiness.checks[-1].name, readiness.checks[-1].why) == ("drain", "draining")


def test_two_checks_of_one_name_are_a_mistake() -> None:
    health = Health(Clock())
    health.ready_when("redis", found(None))

    with pytest.raises(ValueError, match="'redis': choose another name"):
        health.report_when("redis", found(None))


def test_started_once_ready_and_for_good() -> None:
    clock = Clock()
    health = Health(clock)
    answers: list[str | None] = ["not migrated"]

    async def check() -> str | None:
        return answers[0]

    health.ready_when("postgres", check)
    look(health)
    assert not health.started()

    answers[0] = None
    look(health)
    assert health.started()

    answers[0] = "gone"
    look(health)
    assert health.started()


def test_alive_while_the_heart_beats() -> None:
    clock = Clock()
    health = Health(clock)
    health.beat(clock())

    assert health.liveness(clock() + 10).alive
    assert not health.liveness(clock() + 10.1).alive
    health.beat(clock() + 11)
    assert health.liveness(clock() + 11).alive


def test_liveness_knows_no_dependency() -> None:
    clock = Clock()
    health = Health(clock)
    health.ready_when("postgres", _raises)

    look(health)

    assert health.liveness(clock()).alive


def test_the_worst_lateness_of_the_loop_is_remembered_for_half_a_minute() -> None:
    clock = Clock()
    registry = CollectorRegistry()
    health = Health(clock, registry)
    for late_s in (0.0, 0.75, 0.25):  # beats come every 0.5 s
        clock.now_s += 0.5 + late_s
        health.beat(clock())

    assert registry.get_sample_value("shop_event_loop_lag_seconds") == 0.75
    assert health.liveness(clock() + 2.0).lag_s == 1.5  # the beat that is overdue now

    for _ in range(62):
        clock.now_s += 0.5
        health.beat(clock())
    assert health.liveness(clock()).lag_s == 0.0


def test_readiness_is_a_metric() -> None:
    clock = Clock()
    registry = CollectorRegistry()
    health = Health(clock, registry)
    assert registry.get_sample_value("shop_ready") == 0.0

    look(health)

    assert registry.get_sample_value("shop_ready") == 1.0


def test_looking_and_beating_go_on_in_the_background() -> None:
    async def scenario() -> tuple[bool, bool]:
        clock = Clock()
        health = Health(clock)
        clock.now_s += 60
        tasks = [asyncio.create_task(health.watch()), asyncio.create_task(health.keep_beating())]
        async with asyncio.timeout(20):
            while not (health.started() and health.liveness(clock()).alive):
                await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return health.started(), health.liveness(clock()).alive

    assert asyncio.run(scenario()) == (True, True)
