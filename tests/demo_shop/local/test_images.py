"""The container files, read as text: there is no container engine where the tests run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SHOP = ROOT / "demo_shop" / "Dockerfile"
STORES = ROOT / "demo_shop" / "stores" / "Dockerfile"
BOTH = [pytest.param(SHOP, id="shop"), pytest.param(STORES, id="stores")]


def instructions(file: Path) -> list[tuple[str, str]]:
    """(KEYWORD, rest) of each instruction, comments dropped and continued lines joined."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word.upper(), rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines()) if word]


def values(file: Path, keyword: str) -> list[str]:
    return [rest for word, rest in instructions(file) if word == keyword]


@pytest.mark.parametrize("file", BOTH)
def test_runs_as_a_number_that_is_not_root(file: Path) -> None:
    user, group = values(file, "USER")[-1].split(":")

    assert int(user) >= 10000
    assert int(group) >= 10000
    assert instructions(file).index(("USER", f"{user}:{group}")) > max(
        place for place, (word, _) in enumerate(instructions(file)) if word in ("RUN", "COPY")
    )


@pytest.mark.parametrize("file", BOTH)
def test_the_base_image_can_be_chosen(file: Path) -> None:
    assert [value.partition("=")[0] for value in values(file, "ARG")] == ["BASE_IMAGE"]
    assert {value.split()[0] for value in values(file, "FROM")} == {"${BASE_IMAGE}"}


@pytest.mark.parametrize("file", BOTH)
def test_fetches_nothing_by_address_and_holds_no_secret(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    assert values(file, "ADD") == []
    assert "://" not in text
    assert not re.search(r"(PASSWORD|TOKEN|SESSION_KEY|SECRET)\w*=", text)


def test_needs_no_writable_root_file_system() -> None:
    settings = dict(pair.split("=", 1) for value in values(SHOP, "ENV") for pair in value.split())

    assert settings["PYTHONDONTWRITEBYTECODE"] == "1"
    assert settings["HOME"] == "/tmp"
    assert values(SHOP, "WORKDIR") == ["/tmp"]


def test_installs_only_what_the_lock_names() -> None:
    install = next(rest for word, rest in instructions(SHOP) if word == "RUN" and "pip install" in rest)

    assert "--require-hashes" in install
    assert values(SHOP, "COPY")[0].split()[0] == "requirements/shop.txt"


def test_holds_the_shop_and_nothing_else_of_the_project() -> None:
    sources = [value.split()[0] for value in values(SHOP, "COPY") if not value.startswith("--from")]

    assert sources == ["requirements/shop.txt", "demo_shop"]
    allowed = (ROOT / "demo_shop" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert [line for line in allowed if line.startswith("!")] == ["!requirements/shop.txt", "!demo_shop"]


def test_listens_on_both_ports_and_ends_on_a_term() -> None:
    assert values(SHOP, "EXPOSE") == ["8080 9090"]
    assert values(SHOP, "STOPSIGNAL") == ["SIGTERM"]
    assert values(SHOP, "ENTRYPOINT") == ['["python", "-m", "demo_shop"]']


def test_the_lock_of_the_image_has_what_the_shop_imports_and_no_model_library() -> None:
    lock = (ROOT / "requirements" / "shop.txt").read_text(encoding="utf-8").splitlines()
    names = {line.split("==")[0].split("[")[0] for line in lock if "==" in line and not line.startswith(" ")}

    assert {"fastapi", "uvicorn", "uvloop", "psycopg", "psycopg-pool", "redis", "aiohttp", "prometheus-client"} <= names
    assert names.isdisjoint({"numba", "onnxruntime", "scipy", "torch", "darts", "locust"})
