"""What can be wrong with the question that a backtest is asked."""

from __future__ import annotations


class BacktestError(Exception):
    """A backtest cannot answer; the message says what to change."""


class CandidateUnknown(BacktestError):
    """No forecaster has this name."""


class CandidateUnavailable(BacktestError):
    """A forecaster of this name exists, but something that it needs is missing here."""


class NothingToJudge(BacktestError):
    """No series is long enough, or known well enough, for a single window."""
