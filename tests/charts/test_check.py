"""Both charts pass helm's linter, and every profile of values fits the schemas of Kubernetes."""

import subprocess

from charts import CHARTS, needs_helm


@needs_helm
def test_charts_are_clean_and_fit_the_schemas() -> None:
    done = subprocess.run(["sh", str(CHARTS / "check.sh")], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
