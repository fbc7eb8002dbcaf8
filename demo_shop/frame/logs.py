"""Structured logs: one JSON object a line, with the id of the request that it belongs to."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

from demo_shop.frame import context


class JsonLines(logging.Formatter):
    """`ts, level, role, pod, message` and whatever is given as `extra={"fields": {...}}`."""

    def __init__(self, role: str, pod: str, zone: str | None) -> None:
        super().__init__()
        self._constant = {"role": role, "pod": pod} | ({"zone": zone} if zone else {})

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            **self._constant,
            "message": record.getMessage(),
        }
        if (request_id := context.request_id.get()) is not None:
            line["request_id"] = request_id
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class Log(logging.LoggerAdapter[logging.Logger]):
    """`log.info("order confirmed", order_id=…)`: keyword arguments become fields of the line."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        known = {name: kwargs.pop(name) for name in ("exc_info", "stack_info", "stacklevel") if name in kwargs}
        fields = dict(kwargs)
        kwargs.clear()
        return msg, {**known, "extra": {"fields": fields}}


def start_logging(role: str, pod: str, zone: str | None) -> Log:
    """Sends everything, the libraries' warnings too, to standard output as JSON lines."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(role, pod, zone))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # a line for every failed attempt says nothing new
    logger = logging.getLogger("demo_shop")
    logger.setLevel(logging.INFO)
    return Log(logger, {})
