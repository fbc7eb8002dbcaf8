"""The `foresail` command. Commands import what they need when they run, so that help and mistakes answer at once."""

from __future__ import annotations

import typer

from foresail.commands import (
    backtest,
    calibrate,
    chaos,
    chaos_compare,
    chaos_run,
    cluster,
    corpus,
    crd,
    demo_cluster,
    explain,
    failures,
    load,
    models,
    onboard,
    operator_bench,
    plan,
    revert,
    shop_bench,
    simulate,
    study,
    tools,
    train,
)

app = typer.Typer(
    name="foresail",
    help="Keeps a Kubernetes storefront up before it goes down, and proves it in a simulated one.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)

app.command("demo")(simulate.demo)
app.command("simulate")(simulate.simulate)
app.command("explain")(explain.explain)
app.command("pareto")(study.pareto)
app.command("tune")(study.tune)
app.command("scenarios")(tools.scenarios)
app.command("schema")(tools.schema)
app.command("hpa-replay")(tools.hpa_replay)
app.command("bench")(tools.bench)
app.command("bench-shop")(shop_bench.bench_shop)
app.command("bench-operator")(operator_bench.bench_operator)
app.command("corpus")(corpus.corpus)
app.command("backtest")(backtest.backtest)
app.command("backtest-failures")(failures.backtest_failures)
app.command("train")(train.train)
app.command("load")(load.load)
app.command("reconcile")(load.reconcile)
app.command("crd")(crd.crd)
app.command("plan")(plan.plan)
app.command("onboard")(onboard.onboard)
app.command("revert")(revert.revert)
app.command("calibrate")(calibrate.calibrate)
app.command("demo-cluster")(demo_cluster.demo_cluster)
app.add_typer(models.app, name="models")
app.add_typer(cluster.app, name="cluster")
chaos.app.command("run")(chaos_run.run)
chaos.app.command("rollback")(chaos_run.rollback)
chaos.app.command("compare")(chaos_compare.compare)
app.add_typer(chaos.app, name="chaos")


def main() -> None:
    app()
