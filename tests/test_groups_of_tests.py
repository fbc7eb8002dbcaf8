"""Tests of one `xdist_group` run in one worker: two live clusters, or two sets of stores, at a time are too much."""

import os
import subprocess
import sys
from pathlib import Path

MODULE = """
import os
from pathlib import Path
import pytest

pytestmark = [pytest.mark.xdist_group("stores")]

@pytest.mark.parametrize("number", range(6))
def test_something(number):
    with open({seen!r}, "a") as seen:
        print(os.environ["PYTEST_XDIST_WORKER"], Path(__file__).name, file=seen)
"""


def test_a_group_over_two_modules_has_one_worker(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / name).write_text(MODULE.format(seen=str(seen)))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "-p", "xdist", tmp_path],
        cwd=tmp_path,
        env={**own, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    ran = [line.split() for line in seen.read_text().splitlines()]
    assert {file for _, file in ran} == {"test_one.py", "test_two.py"}
    assert len({worker for worker, _ in ran}) == 1
