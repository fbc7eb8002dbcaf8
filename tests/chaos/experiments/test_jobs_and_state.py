from collections import Counter

import pytest

from chaos.experiments.jobs import RunKey, paired_runs
from chaos.experiments.problems import FolderInvalid
from chaos.experiments.progress import expected_s, in_words, told
from chaos.experiments.state import RunEvent, RunState, StateFile, left_to_do, spent_s

ARMS = ("hpa-tuned", "foresail", "keda")
LEAK, SALE = RunKey("leak", "foresail", 1), RunKey("sale", "foresail", 1)


def test_every_arm_runs_once_in_each_pair_and_pairs_stay_together():
    runs = paired_runs(("leak", "sale"), ARMS, (1, 2))

    assert Counter(runs) == Counter(RunKey(s, a, n) for s in ("leak", "sale") for a in ARMS for n in (1, 2))
    pairs = [tuple((run.scenario, run.seed) for run in runs[i : i + 3]) for i in range(0, 12, 3)]
    assert all(len(set(pair)) == 1 for pair in pairs)


def test_every_scenario_has_its_first_pair_before_any_has_its_second():
    assert [run.seed for run in paired_runs(("leak", "sale"), ARMS, (1, 2))] == [1] * 6 + [2] * 6


def test_the_order_of_arms_is_drawn_and_the_same_each_time():
    orders = {tuple(r.arm for r in paired_runs(("leak",), ARMS, (seed,))) for seed in range(30)}

    assert len(orders) > 1
    assert paired_runs(("leak",), ARMS, (5,)) == paired_runs(("leak",), ARMS, (5,))


def test_an_experiment_goes_on_after_the_runs_that_ended(tmp_path):
    state = StateFile(tmp_path / "state.jsonl")
    for key, end in ((LEAK, RunState.FINISHED), (SALE, RunState.BEGAN)):
        state.note(RunEvent(key, RunState.BEGAN, 0.0))
        state.note(RunEvent(key, end, 60.0))

    assert left_to_do((LEAK, SALE), StateFile(state.path).last()) == (SALE,)


@pytest.mark.parametrize("end", [RunState.FAILED, RunState.ABORTED])
def test_a_run_that_failed_is_not_tried_again_unless_asked(end):
    last = {LEAK: RunEvent(LEAK, end, 0.0, "the shop burned down")}

    assert left_to_do((LEAK, SALE), last) == (SALE,)
    assert left_to_do((LEAK, SALE), last, again={end}) == (LEAK, SALE)


def test_why_a_run_failed_is_kept(tmp_path):
    state = StateFile(tmp_path / "state.jsonl")
    state.note(RunEvent(LEAK, RunState.FAILED, 1.0, "the shop burned down"))

    assert state.last()[LEAK].why == "the shop burned down"


def test_what_is_noted_after_a_torn_line_is_a_line_of_its_own(tmp_path):
    state = StateFile(tmp_path / "state.jsonl")
    state.note(RunEvent(LEAK, RunState.BEGAN, 1.0))
    with state.path.open("a") as out:
        out.write('{"scenario": "le')

    state.note(RunEvent(LEAK, RunState.FINISHED, 2.0))

    assert [event.state for event in state.events()] == [RunState.BEGAN, RunState.FINISHED]


def test_a_line_torn_by_a_kill_is_left_out_and_a_broken_one_refused(tmp_path):
    state = StateFile(tmp_path / "state.jsonl")
    state.note(RunEvent(LEAK, RunState.BEGAN, 1.0))
    with state.path.open("a") as out:
        out.write('{"scenario": "le')
    assert [event.key for event in state.events()] == [LEAK]

    with state.path.open("a") as out:
        out.write("\n")
    with pytest.raises(FolderInvalid, match="line 2"):
        state.events()


def test_time_spent_is_of_finished_runs_since_their_last_beginning():
    events = [
        RunEvent(LEAK, RunState.BEGAN, 0.0),  # stopped
        RunEvent(LEAK, RunState.BEGAN, 1000.0),
        RunEvent(LEAK, RunState.FINISHED, 1600.0),
        RunEvent(SALE, RunState.BEGAN, 2000.0),
        RunEvent(SALE, RunState.FAILED, 2001.0),
    ]

    assert spent_s(events) == {LEAK: 600.0}


def test_a_run_is_expected_to_take_as_long_as_its_scenario_did():
    load_s = {"leak": 400.0, "sale": 500.0}

    assert expected_s(LEAK, {LEAK: 620.0}, load_s) == 620.0
    # Others needed 220 s around their load.
    assert expected_s(SALE, {LEAK: 620.0}, load_s) == 720.0
    assert expected_s(SALE, {}, load_s) == 740.0  # nothing measured yet: 240 s


def test_progress_says_which_run_and_how_long_the_rest_takes():
    assert told(3, 12, LEAK, "finished", 4860.0) == "[3/12] leak · foresail · seed 1: finished; about 81 min left"
    assert told(12, 12, LEAK, "finished", 0.0) == "[12/12] leak · foresail · seed 1: finished"


@pytest.mark.parametrize(("seconds", "words"), [(45, "45 s"), (600, "10 min"), (9000, "2 h 30 min")])
def test_times_are_told_in_words(seconds, words):
    assert in_words(seconds) == words
