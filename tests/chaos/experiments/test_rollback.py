import json

import pytest

from chaos.experiments.problems import FolderInvalid, RollbackIncomplete, VerbFailed
from chaos.experiments.rollback import Rollback, RollbackJournal, Undo

NODE, ZONE = Undo("start_node", "node-2"), Undo("heal_zone", "zone-a")


class Hands:
    """Undoes, unless told not to."""

    def __init__(self, fails=()):
        self.done, self.fails = [], list(fails)

    def __call__(self, undo):
        if undo.target in self.fails:
            raise VerbFailed("no")
        self.done.append(undo)


@pytest.fixture
def journal(tmp_path):
    return RollbackJournal(tmp_path / "run" / "rollback.jsonl")


def test_leaving_the_block_takes_everything_back_the_last_thing_first(journal):
    hands = Hands()

    with Rollback(journal, hands) as rollback:
        rollback.promise(NODE)
        rollback.promise(ZONE)

    assert hands.done == [ZONE, NODE]
    assert journal.outstanding() == ()


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_it_does_so_whatever_ended_the_block(journal, kind):
    hands = Hands()

    with pytest.raises(kind), Rollback(journal, hands) as rollback:
        rollback.promise(NODE)
        raise kind

    assert hands.done == [NODE]


def test_a_promise_is_on_the_disk_before_anything_is_done(journal):
    Rollback(journal, Hands()).promise(NODE)

    [line] = [json.loads(row) for row in journal.path.read_text().splitlines()]
    assert line == {"promised": 1, "verb": "start_node", "target": "node-2", "detail": ""}


def test_what_a_killed_run_left_is_undone_by_the_next_process(journal):
    Rollback(journal, Hands()).promise(NODE)
    hands = Hands()

    assert Rollback(RollbackJournal(journal.path), hands).unwind() == (NODE,)
    assert Rollback(RollbackJournal(journal.path), hands).unwind() == ()


def test_numbers_go_on_after_a_killed_run(journal):
    assert Rollback(journal, Hands()).promise(NODE) == 1
    assert RollbackJournal(journal.path).promise(ZONE) == 2


def test_a_line_torn_by_the_kill_was_never_acted_upon(journal):
    Rollback(journal, Hands()).promise(NODE)
    with journal.path.open("a") as out:
        out.write('{"promised": 2, "verb": "kill')

    assert [undo for _, undo in RollbackJournal(journal.path).outstanding()] == [NODE]


def test_a_journal_with_a_broken_middle_is_refused(journal):
    journal.path.write_text('{"promised"\n{"kept": 1}\n')

    with pytest.raises(FolderInvalid, match="line 1 is no line of a rollback journal"):
        journal.outstanding()


def test_what_cannot_be_undone_does_not_keep_the_rest_from_it_and_stays_in_the_journal(journal):
    hands = Hands(fails=["zone-a"])

    with pytest.raises(RollbackIncomplete, match="heal zone zone-a: no"), Rollback(journal, hands) as rollback:
        rollback.promise(NODE)
        rollback.promise(ZONE)

    assert hands.done == [NODE]
    assert [undo for _, undo in journal.outstanding()] == [ZONE]


def test_what_ended_the_run_is_told_beside_an_incomplete_rollback(journal):
    with pytest.raises(RollbackIncomplete) as told, Rollback(journal, Hands(fails=["node-2"])) as rollback:
        rollback.promise(NODE)
        raise ValueError("the shop burned down")

    assert "the shop burned down" in told.value.__notes__[0]


def test_an_undo_that_fails_twice_is_tried_a_third_time(journal):
    answers = [VerbFailed("busy"), VerbFailed("busy"), None]

    def moody(undo):
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    with Rollback(journal, moody) as rollback:
        rollback.promise(NODE)

    assert answers == []


def test_undoing_one_thing_early_leaves_it_out_of_the_end(journal):
    hands = Hands()

    with Rollback(journal, hands) as rollback:
        number = rollback.promise(NODE)
        rollback.promise(ZONE)
        rollback.undo(number)
        rollback.undo(number)

    assert hands.done == [NODE, ZONE]
