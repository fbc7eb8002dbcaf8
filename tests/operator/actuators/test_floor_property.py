"""Whatever happens in whatever order, an object ends where people had put it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from act_stage import HPA, NOW_S, WEB, Stage, decision, furnish
from fake_api import FakeApi
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from policies.decision import SetFloor

#: People's values never equal ours: setting what stands already cannot be told from doing nothing.
PEOPLES = st.sampled_from([1, 101, 201])
OURS = st.integers(2, 30) | st.integers(110, 160)

STEPS = st.one_of(
    st.tuples(st.just("floor"), OURS),
    st.tuples(st.just("people"), PEOPLES),
    st.tuples(st.just("people between read and write"), PEOPLES),
    st.tuples(st.just("people apply the whole object"), PEOPLES),
    st.tuples(st.just("time passes"), st.sampled_from([1, 45, 200, 400, 4000])),
    st.tuples(st.just("settle"), st.just(0)),
    st.tuples(st.just("job reverts what has expired"), st.just(0)),
    st.tuples(st.just("next leader"), st.just(0)),
    st.tuples(st.just("lost answer"), st.just(0)),
    st.tuples(st.just("refused write"), st.just(0)),
)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeApi]:
    api = FakeApi()
    yield api
    api.close()


class Story:
    """One run of events, and what people last put."""

    def __init__(self, api: FakeApi) -> None:
        api.heal()
        api.store.objects.clear()
        furnish(api)
        self.stage = Stage(api)
        self.stage.sets(HPA, "web", lambda hpa: hpa["spec"].update(maxReplicas=300))
        self.theirs, self.now_s, self.epoch = 2, NOW_S, 1
        self.cluster = self.stage.cluster(epoch=1)

    def happens(self, event: str, value: int) -> None:
        match event:
            case "floor":
                self.cluster.apply(SetFloor(WEB, value, self.now_s + 300.0), decision(), self.now_s)
            case "people":
                self.people(value)
            case "people between read and write":
                self.stage.api.before("PATCH", lambda: self.people(value))
            case "people apply the whole object":
                self.people(value, whole=True)
            case "time passes":
                self.now_s += value
            case "settle":
                self.cluster.settle(self.now_s)
            case "job reverts what has expired":
                self.stage.revert_expired(self.now_s)
            case "next leader":
                self.epoch += 1
                self.cluster = self.stage.cluster(self.epoch)
            case "lost answer":
                self.stage.api.fail(500, match="PATCH", times=1, after=True)
            case "refused write":
                self.stage.api.fail(503, match="PATCH", times=1)

    def people(self, value: int, whole: bool = False) -> None:
        mark = self.stage.mark(HPA, "web", "floor")
        if mark is not None and mark["written"] == value:
            return

        def edit(hpa: dict[str, dict[str, object]]) -> None:
            hpa["spec"]["minReplicas"] = value
            if whole:
                hpa["metadata"].pop("annotations", None)
                hpa["metadata"].pop("labels", None)

        self.stage.sets(HPA, "web", edit)
        self.theirs = value

    def ends(self) -> None:
        self.stage.api.heal()
        self.stage.api._interceptions.clear()
        self.stage.revert_all(self.now_s, periods_left=0)
        for cluster in self.stage.opened:
            cluster.close()


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.generate, Phase.shrink],
)
@given(steps=st.lists(STEPS, max_size=14))
def test_an_object_ends_where_people_had_put_it(server: FakeApi, steps: list[tuple[str, int]]) -> None:
    story = Story(server)

    for event, value in steps:
        story.happens(event, value)
    story.ends()

    assert story.stage.spec(HPA, "web")["minReplicas"] == story.theirs
    assert story.stage.traces() == []
