import os
import signal

import pytest

from chaos.experiments.interrupts import ENDING, Interrupted, Interrupts


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_the_block_it_interrupts(number):
    with pytest.raises(Interrupted, match=signal.Signals(number).name), Interrupts().raising():
        os.kill(os.getpid(), number)


def test_a_signal_waits_until_what_must_be_done_is_done():
    done = []

    with pytest.raises(Interrupted), Interrupts().raising() as interrupts, interrupts.held_back():
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("taken back")

    assert done == ["taken back"]


def test_inner_blocks_hold_signals_back_as_long_as_the_outer_one():
    done = []

    with pytest.raises(Interrupted), Interrupts().raising() as interrupts, interrupts.held_back():
        with interrupts.held_back():
            os.kill(os.getpid(), signal.SIGTERM)
        done.append("still going")

    assert done == ["still going"]


def test_what_signals_did_before_comes_back():
    before = signal.getsignal(signal.SIGTERM)

    with Interrupts().raising():
        assert signal.getsignal(signal.SIGTERM) is not before

    assert signal.getsignal(signal.SIGTERM) is before
