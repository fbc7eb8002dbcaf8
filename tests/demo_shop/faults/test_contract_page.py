"""The page that operators are written from, held equal to the code where it states numbers."""

import re
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from demo_shop.faults.board import FaultBoard
from demo_shop.faults.catalogue import FACTS, FaultName, catalogue_of
from demo_shop.frame.drain import Drain
from demo_shop.frame.health import Health
from demo_shop.frame.management import Managed, management_app
from demo_shop.settings import Role

PAGE = (Path(__file__).parents[3] / "docs" / "shop-contracts.md").read_text(encoding="utf-8")


def fault_rows() -> dict[str, list[str]]:
    """The cells after the name, by name, of the table of faults."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+) \|$", PAGE.partition("## Faults")[2], flags=re.MULTILINE)
    cells = {name: [cell.strip() for cell in rest.split(" | ")] for name, rest in rows}
    return {name: row for name, row in cells.items() if len(row) == 5}


def test_the_page_lists_every_fault() -> None:
    assert set(fault_rows()) == set(FaultName)


@pytest.mark.parametrize("name", FaultName)
def test_the_page_states_default_and_limit_of_a_fault(name: FaultName) -> None:
    _, default, most, _, _ = fault_rows()[name]

    assert float(default) == FACTS[name].default_magnitude
    assert float(most.replace(",", "")) == FACTS[name].greatest


@pytest.mark.parametrize("name", FaultName)
def test_the_page_states_which_roles_a_fault_can_hit(name: FaultName) -> None:
    roles = {role for role in Role if name in catalogue_of(role)}
    told = fault_rows()[name][3]

    assert (set(Role) if told == "all" else {role for role in Role if role in told}) == roles


def test_the_page_lists_every_path_with_its_methods() -> None:
    registry = CollectorRegistry()
    board = FaultBoard(catalogue_of(Role.CART), time.time)
    app = management_app(Managed(registry, Health(time.time), Drain(time.time), board, None, None))
    paths = PAGE.partition("| path | methods | token |")[2].partition("\n\n")[0]

    for route in app.routes:
        assert isinstance(route, Route)
        (row,) = [line for line in paths.splitlines() if f"`{route.path}`" in line]
        told = set(re.findall(r"GET|PUT|DELETE", row))
        assert told == (route.methods or set()) - {"HEAD"}, route.path
