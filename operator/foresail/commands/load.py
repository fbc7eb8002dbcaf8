"""`foresail load` and `foresail reconcile`: visitors for a running shop, and whether it kept what it promised them."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.commands.mistakes import make_folder, refuse

if TYPE_CHECKING:
    from chaos.load.probe import ProbePlan
    from chaos.load.shapes import LoadShape

NOT_CLEAN = 1
COULD_NOT = 3  # the shop or its database is not there: neither a mistake in the input nor in the books
SHAPE, RPS, DURATION_S = "constant", 20.0, 60.0


def load(
    url: Annotated[str, typer.Option(help="The shop, as http://host:port.")],
    shape: Annotated[
        str | None, typer.Option(help="constant, diurnal, flash-sale, ramp, spikes or staircase; default: constant.")
    ] = None,
    rps: Annotated[float | None, typer.Option(min=0.01, help="Requests per second of the shape; default: 20.")] = None,
    duration_s: Annotated[float | None, typer.Option(min=1, help="Default: 60, or all of the trace.")] = None,
    announced: Annotated[bool, typer.Option("--announced", help="Declare the shape's crowds beforehand.")] = False,
    scenario: Annotated[str | None, typer.Option(help="A scenario's load and crowds instead of a shape.")] = None,
    faster: Annotated[float, typer.Option(min=0.01, help="Compress the scenario's or trace's time by this.")] = 1.0,
    scale: Annotated[float, typer.Option(min=0.0001, help="Multiply the rate by this.")] = 1.0,
    trace: Annotated[Path | None, typer.Option(help="A CSV of measured request rates instead of a shape.")] = None,
    trace_step_s: Annotated[float | None, typer.Option(help="Seconds between two values of the trace.")] = None,
    trace_column: Annotated[str | None, typer.Option(help="CSV column of the trace.")] = None,
    trace_mean_rps: Annotated[float | None, typer.Option(help="Scale the trace to this mean.")] = None,
    trace_peak_rps: Annotated[float | None, typer.Option(help="Scale the trace to this peak.")] = None,
    mix: Annotated[str, typer.Option(help="shop, browse, orders, or shares like product=3,checkout=1.")] = "shop",
    seed: Annotated[int, typer.Option(min=0, help="The same seed sends the same requests.")] = 0,
    ledger: Annotated[Path | None, typer.Option(help="File of orders, appended to; default: in --out.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the summary and every request.")] = Path("out/load"),
    probe: Annotated[bool, typer.Option("--probe", help="Order as a synthetic customer ten times a second.")] = False,
    probe_hz: Annotated[float | None, typer.Option(min=0.1, max=100, help="… or so many times a second.")] = None,
    probe_product: Annotated[
        list[int] | None, typer.Option(min=1, help="What the probe orders; default: the last product.")
    ] = None,
    most_in_flight: Annotated[int, typer.Option(min=1, max=10_000, help="Visits at the same time.")] = 1000,
    slo_ms: Annotated[float | None, typer.Option(min=1, help="Slower is bad; default: the scenario's, 1000.")] = None,
    allow_host: Annotated[list[str] | None, typer.Option(help="A host you may load, beside this machine.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON and nothing else.")] = False,
) -> None:
    """Send visitors to a running shop: an open loop, latency from when each request was due, a ledger of orders."""
    _needs_extra("locust")
    with _mistakes():
        from chaos.load.mix import mix_named
        from chaos.load.plan import LoadPlan
        from chaos.load.run import run_load
        from foresail.load_terminal import live, show_load

        traced = {
            "step_s": trace_step_s,
            "column": trace_column,
            "mean_rps": trace_mean_rps,
            "peak_rps": trace_peak_rps,
        }
        given = {"--shape": shape, "--scenario": scenario, "--trace": trace}
        _one_of({name: value for name, value in given.items() if value is not None})
        if trace is None and any(value is not None for value in traced.values()):
            refuse("--trace-step-s, --trace-column, --trace-mean-rps and --trace-peak-rps need --trace FILE")
        if scenario is not None:
            _only_with_shape({"--rps": rps, "--announced": announced or None}, "use --scale, or write it into the file")
            wanted = _scenario_shape(scenario, seed, duration_s)
        elif trace is not None:
            _only_with_shape(
                {"--rps": rps, "--announced": announced or None}, "use --trace-mean-rps or --trace-peak-rps"
            )
            wanted = _trace_shape(trace, traced, seed, duration_s)
        else:
            wanted = _named_shape(shape or SHAPE, rps or RPS, duration_s or DURATION_S, seed, announced)
        plan = LoadPlan(
            url=url,
            shape=replace(wanted, faster=faster, scale=scale),
            out=out,
            ledger=ledger or out / "ledger.jsonl",
            seed=seed,
            mix=mix_named(mix),
            probe=_probe_plan(probe_hz, probe_product) if probe or probe_hz or probe_product else None,
            allowed_hosts=tuple(allow_host or ()),
            most_in_flight=most_in_flight,
            slo_latency_s=None if slo_ms is None else slo_ms / 1000.0,
        )
        make_folder(out, "--out")
        with live(as_json) as watch:
            summary = run_load(plan, watch)
    if as_json:
        typer.echo(json.dumps(summary.as_json()))
    else:
        show_load(summary, plan.out, plan.ledger)


def reconcile(
    ledger: Annotated[list[Path], typer.Option(help="Ledger of a load run; may be given several times.")],
    state: Annotated[Path | None, typer.Option(help="state.json of a running shop: where its database is.")] = None,
    database: Annotated[str | None, typer.Option(help="PostgreSQL address of the shop, instead of --state.")] = None,
    settle_s: Annotated[float, typer.Option(min=0, help="Wait so long for work under way to finish.")] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Hold ledgers against the shop's database: lost, duplicated, half-done, oversold. Exit code 1 when anything is."""
    _needs_extra("psycopg")
    with _mistakes():
        from chaos.load.books import Books
        from chaos.load.books_database import address_in_state, read_books
        from chaos.load.ledger import read_ledgers
        from chaos.load.reconcile import settled
        from foresail.load_terminal import show_reconciliation

        def read() -> Books:
            # The state file is read each time: a shop that was started again may have moved.
            if state is not None and database is None:
                return read_books(address_in_state(state))
            if database is not None and state is None:
                return read_books(database)
            refuse("give either --state FILE or --database ADDRESS: where the shop's books are")

        orders = read_ledgers(ledger)
        found = settled(orders, read, time.monotonic, time.sleep, settle_s)
    if as_json:
        typer.echo(json.dumps(found.as_json()))
    else:
        show_reconciliation(found)
    if not found.clean:
        raise typer.Exit(NOT_CLEAN)


def _probe_plan(rate_hz: float | None, products: list[int] | None) -> ProbePlan:
    from chaos.load.probe import ProbePlan

    usual = ProbePlan(products=tuple(products or ()))
    return usual if rate_hz is None else replace(usual, rate_hz=rate_hz)


def _needs_extra(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        refuse(f"{module} is not installed: install foresail with the extra `chaos`")


def _one_of(given: Mapping[str, object]) -> None:
    if len(given) > 1:
        refuse(f"{' and '.join(given)} are all shapes of the load: give one")


def _only_with_shape(given: Mapping[str, object], instead: str) -> None:
    for option, value in given.items():
        if value is not None:
            refuse(f"{option} belongs to --shape: {instead}")


def _named_shape(kind: str, rps: float, duration_s: float, seed: int, announced: bool) -> LoadShape:
    from chaos.load.shapes import shaped

    return shaped(kind, rps, duration_s, seed, announced)


def _scenario_shape(name: str, seed: int, duration_s: float | None) -> LoadShape:
    from chaos.load.shapes import LoadShape
    from foresail.commands.simulate import scenario_named

    return LoadShape(scenario_named(name, duration_s=duration_s), seed)


def _trace_shape(file: Path, traced: Mapping[str, object], seed: int, duration_s: float | None) -> LoadShape:
    from chaos.load.shapes import replayed
    from simulation.scenario import trace_of

    given = {name: value for name, value in traced.items() if value is not None}
    return replayed(trace_of({"file": str(file.resolve()), **given}, "--trace"), seed, duration_s)


@contextmanager
def _mistakes() -> Iterator[None]:
    """Turns what is wrong with the input, or not there, into one message and an exit code."""
    from chaos.load.books import BooksUnavailable
    from chaos.load.catalogue import CatalogueUnavailable
    from chaos.load.ledger import LedgerInvalid
    from chaos.load.mix import MixInvalid
    from chaos.load.plan import PlanInvalid
    from chaos.load.run import LoadFailed
    from chaos.load.shapes import ShapeInvalid
    from chaos.load.target import TargetRefused
    from simulation.scenario import ScenarioInvalid
    from simulation.trace import TraceInvalid

    try:
        yield
    except (
        LedgerInvalid,
        MixInvalid,
        PlanInvalid,
        ShapeInvalid,
        TargetRefused,
        ScenarioInvalid,
        TraceInvalid,
    ) as error:
        refuse(str(error))
    except (CatalogueUnavailable, LoadFailed, BooksUnavailable) as error:
        typer.echo(f"foresail: {error}", err=True)
        raise typer.Exit(COULD_NOT) from None
