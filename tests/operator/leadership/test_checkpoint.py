"""The checkpoint on a fake API server: whole or not at all, and never over a later leader's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from fake_api import FakeApi
from kubernetes import client

from foresail.checkpoint import CheckpointStore, CheckpointUnavailable


@dataclass
class StubFence:
    epoch: int = 3
    open: bool = True

    def may_write(self, timeout_s: float) -> bool:
        return self.open


def store(api: FakeApi, fence: StubFence, part_bytes: int = 900 * 1024) -> CheckpointStore:
    return CheckpointStore(client.CoreV1Api(api.client()), "foresail", fence, timeout_s=5.0, part_bytes=part_bytes)


def incompressible(seed: int) -> dict[str, Any]:
    return {"noise": np.random.default_rng(seed).random(200).tolist()}


def head(api: FakeApi) -> dict[str, Any]:
    return api.get("configmaps", "foresail", "foresail-checkpoint-0")


def parts(api: FakeApi) -> set[str]:
    names = {f"foresail-checkpoint-{number}" for number in range(20)}
    return {name for name in names if api.exists("configmaps", "foresail", name)}


def test_what_was_written_is_read_by_the_successor(fake_api: FakeApi) -> None:
    assert store(fake_api, StubFence(epoch=3)).write({"memory": [1.5, None, "a"]}, now_s=1000.0)

    found = store(fake_api, StubFence(epoch=4)).read()

    assert found.value == {"memory": [1.5, None, "a"]}
    assert (found.epoch, found.written_at_s, found.problem) == (3, 1000.0, None)


def test_without_a_checkpoint_there_is_no_problem_either(fake_api: FakeApi) -> None:
    found = store(fake_api, StubFence()).read()

    assert found.value is None and found.problem is None


def test_a_large_one_is_split_and_comes_back_whole(fake_api: FakeApi) -> None:
    kept = store(fake_api, StubFence(), part_bytes=1000)

    assert kept.write(incompressible(1), now_s=1.0)

    assert len(parts(fake_api)) > 2
    assert kept.read().value == incompressible(1)


def test_one_that_breaks_off_half_way_leaves_the_one_before(fake_api: FakeApi) -> None:
    kept = store(fake_api, StubFence(), part_bytes=1000)
    kept.write(incompressible(1), now_s=1.0)
    fake_api.fail(500, match="PUT /api/v1/namespaces/foresail/configmaps/foresail-checkpoint-0")

    assert not kept.write(incompressible(2), now_s=2.0)

    fake_api.heal()
    assert kept.read().value == incompressible(1)


def test_a_smaller_one_leaves_no_parts_behind(fake_api: FakeApi) -> None:
    kept = store(fake_api, StubFence(), part_bytes=1000)
    kept.write(incompressible(1), now_s=1.0)

    kept.write({"small": 1}, now_s=2.0)

    assert parts(fake_api) == {"foresail-checkpoint-0"}


def test_nothing_is_written_behind_a_closed_fence(fake_api: FakeApi) -> None:
    assert not store(fake_api, StubFence(open=False)).write({}, now_s=1.0)

    assert fake_api.writes == []


def test_an_old_leader_does_not_write_over_a_later_ones(fake_api: FakeApi) -> None:
    store(fake_api, StubFence(epoch=4)).write({"by": "later"}, now_s=2.0)

    assert not store(fake_api, StubFence(epoch=3)).write({"by": "earlier"}, now_s=3.0)

    assert store(fake_api, StubFence()).read().value == {"by": "later"}


def test_a_lease_that_counts_from_one_again_may_still_write_over_what_it_read(fake_api: FakeApi) -> None:
    store(fake_api, StubFence(epoch=40)).write({"by": "before"}, now_s=2.0)
    kept = store(fake_api, StubFence(epoch=1))

    kept.read()

    assert kept.write({"by": "after"}, now_s=3.0)


def test_of_two_writers_the_one_that_read_an_old_state_loses(fake_api: FakeApi) -> None:
    kept = store(fake_api, StubFence(epoch=3))
    kept.write({"n": 1}, now_s=1.0)
    fake_api.before("PUT", lambda: store(fake_api, StubFence(epoch=4)).write({"n": 4}, now_s=2.0))

    assert not kept.write({"n": 2}, now_s=3.0)

    assert kept.read().value == {"n": 4}


def _flip(text: str) -> str:
    return ("A" if text[20] != "A" else "B").join((text[:20], text[21:]))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        pytest.param(lambda data: data.update(part=_flip(data["part"])), "checksum", id="a-flipped-character"),
        pytest.param(lambda data: data.pop("part"), "checksum", id="no-part"),
        pytest.param(lambda data: data.pop("header"), "no header", id="no-header"),
        pytest.param(lambda data: data.update(header="{}"), "header is not one", id="an-empty-header"),
        pytest.param(lambda data: data.update(header="[1"), "header is not one", id="a-header-of-no-json"),
    ],
)
def test_damage_is_told_and_not_raised(fake_api: FakeApi, damage: Any, problem: str) -> None:
    kept = store(fake_api, StubFence())
    kept.write({"memory": list(range(100))}, now_s=1.0)
    fake_api.change("configmaps", "foresail", "foresail-checkpoint-0", lambda row: damage(row["data"]))

    found = kept.read()

    assert found.value is None and found.problem is not None and problem in found.problem
    assert kept.write({"fresh": 1}, now_s=2.0)
    assert kept.read().value == {"fresh": 1}


def test_another_version_is_told_by_its_number(fake_api: FakeApi) -> None:
    kept = store(fake_api, StubFence())
    kept.write({}, now_s=1.0)

    def older(row: dict[str, Any]) -> None:
        row["data"]["header"] = json.dumps(json.loads(row["data"]["header"]) | {"version": 0})

    fake_api.change("configmaps", "foresail", "foresail-checkpoint-0", older)

    assert kept.read().problem == "it has version 0, this operator reads version 1"


def test_a_lost_part_is_told_by_its_name(fake_api: FakeApi) -> None:
    kept = store(fake_api, StubFence(), part_bytes=1000)
    kept.write(incompressible(1), now_s=1.0)
    fake_api.delete("configmaps", "foresail", "foresail-checkpoint-2")

    assert kept.read().problem == "foresail-checkpoint-2 is missing"


def test_no_answer_is_not_taken_for_no_checkpoint(fake_api: FakeApi) -> None:
    fake_api.down()

    with pytest.raises(CheckpointUnavailable):
        store(fake_api, StubFence()).read()
