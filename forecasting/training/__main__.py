"""`python -m forecasting.training --size s --minutes 150 --resume DIR`: from series to a model file and its card."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from forecasting.training.recipe import Recipe, RecipeInvalid, run


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 with a model in DIR, 2 for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m forecasting.training", description=__doc__)
    parser.add_argument("--size", choices=("s", "m"), default="s")
    parser.add_argument("--minutes", type=float, default=150.0, help="of this machine's time, all stages together")
    parser.add_argument(
        "--resume", type=Path, required=True, metavar="DIR", help="state, model and card; goes on from it"
    )
    parser.add_argument("--steps", type=int, help="so many steps instead: the same weights on any machine")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, help="folder with the real data sets; without it: synthetic series alone")
    parser.add_argument("--corpus", type=Path, help="folder written by `foresail corpus`")
    parser.add_argument("--without", action="append", default=[], metavar="GROUP", help="leave a group of --data out")
    parser.add_argument("--start-from", type=Path, metavar="DIR", help="begin with the weights of another run")
    parser.add_argument("--real-share", type=float, default=0.25, help="share of real windows in every batch")
    given = parser.parse_args(arguments)
    recipe = Recipe(
        size=given.size,
        minutes=given.minutes,
        seed=given.seed,
        threads=given.threads,
        data=given.data,
        corpus=given.corpus,
        without=tuple(given.without),
        start_from=given.start_from,
        real_share=given.real_share,
        steps=given.steps,
    )
    try:
        run(recipe, given.resume, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201
    except RecipeInvalid as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
