"""Every PromQL expression of the charts' Grafana dashboards, with its variables filled in.

    python charts/dashboard_queries.py [--workload NAMESPACE/NAME] [--horizon-s 300] [--signal memory]

Prints one JSON object a line: {"dashboard", "panel", "expression"}. For a test that runs each of them, or for a look.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

DASHBOARDS = Path(__file__).parent / "foresail" / "dashboards"

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<plain>\w+))")
_OF_LABEL_VALUES = re.compile(r"label_values\((?P<selector>.+),\s*\w+\)")


class VariableUnknown(Exception):
    """A dashboard uses a variable that has no value; the message names both."""


@dataclass(frozen=True, slots=True)
class Query:
    dashboard: str
    panel: str
    expression: str


def values_for(workload: str, horizon_s: int, signal: str) -> dict[str, str]:
    """What Grafana would put in for the variables of our dashboards."""
    namespace, _, name = workload.partition("/")
    return {
        "workload": workload,
        "namespace": namespace,
        "name": name,
        "horizon_s": str(horizon_s),
        "signal": signal,
        "__rate_interval": "1m",
        "__interval": "15s",
    }


def queries_of(dashboard: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Query]:
    """Of its panels, its annotations and its variables. Raises `VariableUnknown`."""
    title = str(dashboard["title"])
    for panel in _panels(dashboard):
        for target in panel.get("targets", []):
            yield Query(title, str(panel["title"]), _filled(title, target["expr"], values))
    for annotation in dashboard.get("annotations", {}).get("list", []):
        if "expr" in annotation:
            yield Query(title, f"annotation {annotation['name']}", _filled(title, annotation["expr"], values))
    for variable in dashboard.get("templating", {}).get("list", []):
        if variable["type"] == "query":
            selector = _OF_LABEL_VALUES.fullmatch(variable["definition"])
            expression = variable["definition"] if selector is None else selector["selector"]
            yield Query(title, f"variable {variable['name']}", _filled(title, expression, values))


def all_queries(values: Mapping[str, str], folder: Path = DASHBOARDS) -> list[Query]:
    files = sorted(folder.glob("*.json"))
    return [query for file in files for query in queries_of(json.loads(file.read_text(encoding="utf-8")), values)]


def _panels(dashboard: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def _filled(dashboard: str, expression: str, values: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        name = found["braced"] or found["plain"]
        if name not in values:
            raise VariableUnknown(f"{dashboard}: ${name} in {expression!r} has no value; add it to values_for")
        return values[name]

    return _VARIABLE.sub(value, expression)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="charts/dashboard_queries.py", description=__doc__)
    parser.add_argument("--workload", default="shop/shop-gateway")
    parser.add_argument("--horizon-s", type=int, default=300)
    parser.add_argument("--signal", default="memory")
    options = parser.parse_args(arguments)
    for query in all_queries(values_for(options.workload, options.horizon_s, options.signal)):
        sys.stdout.write(json.dumps(asdict(query)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
