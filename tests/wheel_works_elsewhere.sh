#!/bin/sh
# The wheel holds everything: installed into an empty environment and used from another folder.
set -eu
root=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
uv="$root/.venv/bin/uv"
"$uv" venv --quiet --python "$root/.venv/bin/python" "$scratch/env"
"$uv" pip install --quiet --python "$scratch/env/bin/python" --require-hashes -r "$root/requirements/core.txt"
"$uv" pip install --quiet --python "$scratch/env/bin/python" --no-deps "$root"/dist/foresail-*.whl
cd "$scratch"
"$scratch/env/bin/python" -c '
import forecasting.fallback, foresail.cli, policies.loop, simulation.run, sys
from simulation.scenario import load_scenario
assert "torch" not in sys.modules
assert not foresail.cli.__file__.startswith(sys.argv[1]), "imported from the checkout, not from the wheel"
load_scenario("sale-day")
from forecasting.serving import default_forecaster
assert default_forecaster().model is not None, "the weights of the release are not in the wheel"
' "$root/"
"$scratch/env/bin/foresail" scenarios >/dev/null
"$scratch/env/bin/foresail" --help >/dev/null
seq 1 400 >"$scratch/line.txt"
"$scratch/env/bin/foresail" backtest "$scratch/line.txt" --step-s 60 --windows 2 --json >/dev/null
echo "the wheel works from another folder"
