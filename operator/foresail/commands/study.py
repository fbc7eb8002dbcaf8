"""`foresail pareto` and `foresail tune`: arms over ranges of their settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foresail.commands.mistakes import SOME_RUNS_FAILED, input_checked, make_folder, refuse
from foresail.commands.simulate import FirstSeed, Jobs, Out, Seeds, arm_names, scenario_named

RESULTS = Path("docs/results/tuning")


def pareto(
    scenario: Annotated[str, typer.Argument(help="A scenario file, or the name of a shipped one.")],
    arms: Annotated[str, typer.Option(help="Arms to sweep, separated by commas.")] = "hpa-tuned,foresail",
    points: Annotated[int, typer.Option(min=2, max=50, help="Values of each arm's main knob.")] = 6,
    seeds: Seeds = 2,
    seed: FirstSeed = 1,
    out: Out = None,
    jobs: Jobs = None,
) -> None:
    """Draw cost against downtime by sweeping each arm's main knob: CSV, JSON and a page."""
    with input_checked():
        chosen, names = scenario_named(scenario), arm_names(arms)
    folder = out or Path("out") / f"pareto-{chosen.name}"
    make_folder(folder, "--out")
    from foresail.terminal import progress
    from simulation.studies.pareto import pareto as sweep_knobs
    from simulation.studies.pareto import pareto_jobs, write_pareto

    every = tuple(range(seed, seed + seeds))
    with progress(len(pareto_jobs(chosen, names, points, every)), quiet=False) as on_done:
        result = sweep_knobs(chosen, names, points, every, jobs, on_done)
    for point in result.points:
        typer.echo(
            f"{point.arm:<20} {point.knob} = {point.value:<8g} {point.pod_hours:9.2f} pod-hours "
            f"{point.downtime_s:8.0f} s down {point.bad_requests:10.0f} bad"
        )
    for failure in result.failures:
        typer.echo(f"failed: {failure.arm} · seed {failure.seed}: {failure.error}", err=True)
    for path in write_pareto(result, folder):
        typer.echo(str(path))
    if result.failures:
        raise typer.Exit(SOME_RUNS_FAILED)


def tune(
    arms: Annotated[str | None, typer.Option(help="Default: every arm that has something to tune.")] = None,
    trials: Annotated[int, typer.Option(min=2, help="Settings tried per arm, the same for all.")] = 24,
    seeds: Seeds = 2,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = RESULTS,
    log: Annotated[Path, typer.Option(help="Finished trials; a second call goes on from here.")] = Path(
        "out/tuning.jsonl"
    ),
    jobs: Jobs = None,
    write: Annotated[bool, typer.Option("--write/--dry-run", help="Write the chosen settings to tuned.yaml.")] = True,
) -> None:
    """Search every arm's settings on tuning scenarios and seeds, equally hard, and write tuned.yaml."""
    from simulation.studies import tuning
    from simulation.studies.tuning_files import write_results, write_tuned

    with input_checked():
        names = arm_names(arms) if arms is not None else tuning.tunable_arms()
        for name in names:
            if name not in tuning.tunable_arms():
                refuse(f"{name} has nothing to tune: leave it out")
    scenarios = tuning.tuning_scenarios()
    every = tuple(range(tuning.FIRST_SEED, tuning.FIRST_SEED + seeds))
    make_folder(log.parent, "--log in")
    make_folder(out, "--out")
    from foresail.terminal import progress

    try:
        with progress(len(names) * trials * len(scenarios) * seeds, quiet=False) as on_done:
            found = tuning.tune(scenarios, names, trials, every, log, jobs, on_done)
        budget, choices = tuning.choose(found)
    except tuning.TuningInvalid as error:
        refuse(str(error))
    about = f"{trials} trials per arm over {len(scenarios)} tuning scenarios and {seeds} tuning seeds each."
    for choice in choices:
        typer.echo(f"{choice.arm:<20} {choice.trial.pod_hours:9.1f} pod-hours {choice.trial.bad_requests:10.0f} bad")
    written = [*write_results(found, budget, choices, about, out), *([write_tuned(choices)] if write else [])]
    for path in written:
        typer.echo(str(path))
