import asyncio

from demo_shop.frame.grace import Graced


class Store:
    """A store that answers or not, and a clock."""

    def __init__(self) -> None:
        self.now_s, self.gone = 0.0, False

    async def answers(self) -> None:
        if self.gone:
            raise ConnectionError("no primary")

    def found_by(self, check: Graced, now_s: float) -> str | None:
        self.now_s = now_s
        return asyncio.run(check())


def test_a_store_that_is_gone_for_a_moment_makes_nobody_unready() -> None:
    store = Store()
    check = Graced(store.answers, lambda: store.now_s, grace_s=30.0)
    assert store.found_by(check, 0.0) is None

    store.gone = True

    assert store.found_by(check, 29.0) is None
    assert store.found_by(check, 31.0) == "gone for 31 s: ConnectionError: no primary"


def test_the_grace_begins_anew_when_the_store_answered_between() -> None:
    store = Store()
    check = Graced(store.answers, lambda: store.now_s, grace_s=30.0)
    store.found_by(check, 0.0)
    store.found_by(check, 20.0)

    store.gone = True

    assert store.found_by(check, 49.0) is None
    assert store.found_by(check, 51.0) is not None


def test_a_process_that_never_reached_its_store_is_not_ready() -> None:
    store = Store()
    store.gone = True

    assert store.found_by(Graced(store.answers, lambda: store.now_s), 0.0) == "ConnectionError: no primary"
