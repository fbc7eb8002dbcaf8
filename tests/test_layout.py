"""The layout that keeps `operator/` from shadowing the standard library's module of that name."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_operator_folder_is_a_source_root_never_a_package() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_no_tests_folder_is_a_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_the_standard_librarys_operator_wins_at_the_root() -> None:
    code = "import operator; print(operator.itemgetter)"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert "itemgetter" in done.stdout


def test_locked_requirements_name_no_registry_and_no_machine() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text(encoding="utf-8")
        assert "--hash=sha256:" in text
        assert "://" not in text, f"{lock.name} contains an address"
        assert str(ROOT) not in text


def test_the_core_install_has_no_model_library() -> None:
    core = (ROOT / "requirements" / "core.txt").read_text(encoding="utf-8")

    assert not any(line.startswith(("torch==", "darts==", "nvidia-")) for line in core.splitlines())
