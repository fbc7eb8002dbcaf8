"""Why something is not known. Every answer that cannot be used has one of these names; none of them is a zero."""

from __future__ import annotations

from enum import StrEnum


class UnknownReason(StrEnum):
    """Whole queries first, single series and points after them."""

    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed_out"
    OUT_OF_TIME = "out_of_time"  # not asked: the tick had no time left
    HTTP_STATUS = "http_status"  # not 200, and no word from Prometheus about it
    REFUSED = "refused"  # Prometheus says status error: a bad expression, too many samples, a time limit
    NOT_JSON = "not_json"  # a login page, or an answer that was cut off
    TOO_LARGE = "too_large"
    WRONG_TYPE = "wrong_type"  # a scalar, a string, or vector and matrix mistaken for each other
    MALFORMED = "malformed"
    PARTIAL = "partial"  # the server warns that data is missing, or pods that used to report do not
    CLOCK_SKEW = "clock_skew"  # the server's clock is far from ours, or a cache answered
    CREDENTIALS = "credentials"  # the token or password file cannot be read
    EMPTY = "empty"
    NOT_FINITE = "not_finite"
    NEGATIVE = "negative"  # where only numbers from 0 on make sense
    DUPLICATE = "duplicate"  # two series with the same labels
    WRONG_TIME = "wrong_time"  # a point of another moment than was asked for
    NO_OWNER = "no_owner"  # a series of a pod or service that belongs to no watched workload
    AMBIGUOUS = "ambiguous"  # a series without labels that several workloads claim


class QueryFailed(Exception):
    """One query has no usable answer. Retryable at the next tick."""

    def __init__(self, reason: UnknownReason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail
