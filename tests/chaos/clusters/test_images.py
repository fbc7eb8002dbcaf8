"""Images: equal contents give equal bytes, and nothing of the machine that built them gets in."""

import json
import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.images import current
from chaos.clusters.images.archive import ImageInvalid, ImageSettings, image_names, write_image, write_layer
from chaos.clusters.images.current import current_image
from chaos.clusters.images.debian import Account, DebianLayer, debian_release
from chaos.clusters.images.recipes import EXTRA_RECIPES, RECIPES, Recipe, build_image
from chaos.clusters.images.wheels import entry_points, leave_out, write_scripts

ROOT = Path(__file__).parents[3]


def sources(folder: Path) -> Path:
    (folder / "pkg" / "__pycache__").mkdir(parents=True)
    (folder / "pkg" / "a.py").write_text("A = 1\n")
    (folder / "pkg" / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"\0")
    (folder / "pkg-1.dist-info").mkdir()
    (folder / "pkg-1.dist-info" / "METADATA").write_text("Name: pkg\n")
    (folder / "pkg-1.dist-info" / "RECORD").write_text("/home/somebody/bin/x,sha256=1,1\n")
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o700)
    return folder


def image(folder: Path, name: str, contents: dict[str, Path], settings: ImageSettings | None = None) -> Path:
    layer, archive = folder / f"{name}.layer", folder / f"{name}.tar"
    write_layer(layer, contents)
    write_image(archive, "local/test:1", (layer,), settings or ImageSettings())
    return archive


def test_equal_contents_give_equal_bytes(tmp_path: Path) -> None:
    first, second = sources(tmp_path / "first"), sources(tmp_path / "second")
    os.utime(second / "pkg" / "a.py", (1, 1))

    one = image(tmp_path, "one", {"/app": first}, ImageSettings(entrypoint=("/app/run",)))
    two = image(tmp_path, "two", {"/app": second}, ImageSettings(entrypoint=("/app/run",)))

    assert one.read_bytes() == two.read_bytes()


def test_a_layer_holds_only_what_is_read_at_run_time(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    write_layer(layer, {"/app": sources(tmp_path / "sources")})

    with tarfile.open(layer) as opened:
        names = {entry.name for entry in opened if entry.isfile()}

    assert names == {"app/pkg/a.py", "app/pkg-1.dist-info/METADATA", "app/run"}


def test_files_belong_to_root_and_everyone_may_read_them(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    write_layer(layer, {"/app": sources(tmp_path / "sources")})

    with tarfile.open(layer) as opened:
        entries = {entry.name: entry for entry in opened}

    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries.values()} == {(0, 0, 0)}
    assert entries["app/run"].mode == 0o755
    assert entries["app/pkg/a.py"].mode == 0o644


def test_an_image_says_how_its_container_starts(tmp_path: Path) -> None:
    settings = ImageSettings(
        entrypoint=("/tini", "--"), command=("serve",), environment={"A": "1"}, user="10001:10001", folder="/tmp"
    )
    archive = image(tmp_path, "one", {"/app": sources(tmp_path / "sources")}, settings)

    with tarfile.open(archive) as opened:
        manifest = json.loads(opened.extractfile("manifest.json").read())[0]
        configuration = json.loads(opened.extractfile(manifest["Config"]).read())

    assert manifest["RepoTags"] == ["local/test:1"]
    assert configuration["config"] == {
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=1"],
        "Entrypoint": ["/tini", "--"],
        "Cmd": ["serve"],
        "User": "10001:10001",
        "WorkingDir": "/tmp",
    }
    assert image_names(archive) == ("local/test:1",)


def test_a_path_of_ones_own_replaces_the_usual_one(tmp_path: Path) -> None:
    archive = image(tmp_path, "one", {"/a": sources(tmp_path / "s")}, ImageSettings(environment={"PATH": "/only"}))

    with tarfile.open(archive) as opened:
        manifest = json.loads(opened.extractfile("manifest.json").read())[0]
        configuration = json.loads(opened.extractfile(manifest["Config"]).read())

    assert configuration["config"]["Env"] == ["PATH=/only"]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageInvalid, match="gone: not there, and meant to be /app"):
        write_layer(tmp_path / "layer", {"/app": tmp_path / "gone"})
    with pytest.raises(ImageInvalid, match="app: a path in an image begins with /"):
        write_layer(tmp_path / "layer", {"app": tmp_path})
    with pytest.raises(ImageInvalid, match="gone: not there, and meant to be a layer"):
        write_image(tmp_path / "image", "a:1", (tmp_path / "gone",), ImageSettings())


def test_a_file_that_is_no_archive_of_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.tar").write_text("not a tar")

    with pytest.raises(ImageInvalid, match=r"notes\.tar: not an archive of images"):
        image_names(tmp_path / "notes.tar")


def test_commands_of_wheels_start_the_images_own_python(tmp_path: Path) -> None:
    info = tmp_path / "packages" / "kopf-1.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text("[console_scripts]\nKopf-Run = kopf.cli:main\n")

    write_scripts(tmp_path / "packages", ("Kopf-Run",), {"foresail": "foresail.cli:main"}, tmp_path / "bin")

    assert entry_points(tmp_path / "packages") == {"Kopf-Run": "kopf.cli:main"}
    assert (tmp_path / "bin" / "Kopf-Run").read_text() == (
        "#!/usr/bin/python3\nimport sys\nfrom kopf.cli import main\nsys.exit(main())\n"
    )
    assert (tmp_path / "bin" / "foresail").stat().st_mode & 0o111 == 0o111
    with pytest.raises(ImageInvalid, match="no package of the image has a command called 'gone'"):
        write_scripts(tmp_path / "packages", ("gone",), {}, tmp_path / "bin")


def test_an_account_comes_before_the_packages_and_keeps_its_number() -> None:
    layer = DebianLayer(("redis-server",), Account("postgres", 10002, "/var/lib/postgresql"), own_folders=("/data",))

    command = layer.command("bookworm", Path("/out.tar"), ("/etc/apt/sources.list",))

    assert "--include=redis-server" in command
    assert '--essential-hook=echo "postgres:x:10002:10002::/var/lib/postgresql:/bin/sh" >>"$1/etc/passwd"' in command
    assert '--customize-hook=mkdir -p "$1/data" && chown 10002:10002 "$1/data" && chmod 700 "$1/data"' in command
    assert command[-3:] == ("bookworm", "/out.tar", "/etc/apt/sources.list")


def test_another_list_of_packages_is_another_layer() -> None:
    account = Account("a", 10001, "/tmp")

    assert DebianLayer(("python3",), account).key("bookworm") != DebianLayer(("tini",), account).key("bookworm")
    assert DebianLayer(("python3",), account).key("bookworm") != DebianLayer(("python3",), account).key("trixie")


def test_images_are_built_on_debian_only() -> None:
    assert debian_release('ID=debian\nVERSION_CODENAME=bookworm\nNAME="Debian"\n') == "bookworm"
    with pytest.raises(ClusterFailed, match="on Debian; elsewhere use Docker"):
        debian_release("ID=fedora\nVERSION_CODENAME=\n")


def test_recipes_agree_with_the_dockerfiles() -> None:
    for recipe, dockerfile in (
        (RECIPES["operator"], "operator/Dockerfile"),
        (EXTRA_RECIPES["load"], "chaos/load/Dockerfile"),
        (RECIPES["shop"], "demo_shop/Dockerfile"),
        (RECIPES["stores"], "demo_shop/stores/Dockerfile"),
    ):
        text = (ROOT / dockerfile).read_text(encoding="utf-8")
        assert f"USER {recipe.settings.user}" in text
        assert f"ENTRYPOINT {json.dumps(list(recipe.settings.entrypoint))}" in text
        if recipe.debian is not None and not recipe.lock:
            assert [package for package in recipe.debian.packages if package not in text] == []


@pytest.mark.parametrize("name", ["operator", "load", "shop"])
def test_dockerfiles_hold_the_same_wheels_sources_and_settings(name: str) -> None:
    recipe = (RECIPES | EXTRA_RECIPES)[name]
    folder = {"operator": "operator", "load": "chaos/load", "shop": "demo_shop"}[name]
    text = (ROOT / folder / "Dockerfile").read_text(encoding="utf-8")
    let_in = (ROOT / folder / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()

    assert f"COPY requirements/{recipe.lock} " in text and f"!requirements/{recipe.lock}" in let_in
    for package in recipe.sources:
        source = "operator/foresail" if package == "foresail" else package
        assert f"COPY {source} {recipe.home}/app/{package}" in text and f"!{source}" in let_in
    for left_out in recipe.left_out:
        assert left_out in let_in or f"{recipe.home}/app/{left_out}" in text
    for variable, value in recipe.settings.environment.items():
        if variable != "PYTHONPATH":  # wheels lie in the environment of the Dockerfile's Python
            assert f"{variable}={value}" in text


def test_what_recipes_name_is_there() -> None:
    for recipe in (RECIPES | EXTRA_RECIPES).values():
        if recipe.lock:
            assert (ROOT / "requirements" / recipe.lock).is_file()
        for folder in recipe.left_out:
            assert (ROOT / folder).is_dir()


def test_the_operators_lock_leaves_out_what_only_the_simulator_uses() -> None:
    lock = (ROOT / "requirements" / "operator.txt").read_text(encoding="utf-8")

    assert "\nkopf==" in lock
    assert not any(
        line.startswith(("numba==", "llvmlite==", "joblib==", "scipy==", "torch==")) for line in lock.splitlines()
    )


def test_the_operator_starts_with_what_its_image_holds() -> None:
    """What the image lacks is hidden: left-out folders, the simulator and its libraries."""
    recipe = RECIPES["operator"]
    absent = [*(folder.replace("/", ".") for folder in recipe.left_out), "simulation", "chaos", "demo_shop"]
    absent += ["numba", "joblib", "jinja2", "scipy", "torch", "pandas", "kubernetes.aio"]
    code = f"import sys; sys.modules.update(dict.fromkeys({absent!r})); import foresail.handlers, foresail.cli"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_load_can_be_sent_with_what_its_image_holds() -> None:
    recipe = EXTRA_RECIPES["load"]
    absent = [*(folder.replace("/", ".") for folder in recipe.left_out), "demo_shop"]
    absent += ["numba", "joblib", "onnxruntime", "kubernetes"]
    modules = "foresail.cli, foresail.load_terminal, chaos.load.run, chaos.load.engine, chaos.load.shapes"
    code = f"import sys; sys.modules.update(dict.fromkeys({absent!r})); import gevent, {modules}"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_what_nothing_asks_for_is_left_out_of_the_wheels(tmp_path: Path) -> None:
    for name in ("kept/a.py", "kept/aio/b.py", "kept/lib.so.1", "kept/lib.so.2"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    leave_out(tmp_path, ("kept/aio", "kept/lib.so.*"))

    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.py"]


def test_a_wheel_that_has_changed_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(ImageInvalid, match="kubernetes/aio is not among the packages"):
        leave_out(tmp_path, ("kubernetes/aio",))


def test_a_program_that_is_not_built_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageInvalid, match="prometheus is not built: run `foresail cluster build`"):
        build_image(EXTRA_RECIPES["prometheus"], tmp_path, programs=tmp_path)


def test_an_image_of_one_program_holds_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "prometheus").write_bytes(b"\x7fELF")
    (tmp_path / "prometheus").chmod(0o755)

    archive = build_image(EXTRA_RECIPES["prometheus"], tmp_path / "cache", programs=tmp_path)

    with tarfile.open(archive) as opened:
        manifest = json.loads(opened.extractfile("manifest.json").read())[0]
        with tarfile.open(fileobj=opened.extractfile(manifest["Layers"][0])) as layer:
            assert layer.getnames() == ["usr/local/bin/prometheus"]
    assert image_names(archive) == (f"demo-shop-prometheus:{version('foresail')}",)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Names of images that were built; a build writes an empty archive."""
    done: list[str] = []

    def build(recipe: Recipe, cache: Path, programs: Path | None) -> Path:
        done.append(recipe.name)
        archive = cache / f"{recipe.name}.tar"
        archive.touch()
        return archive

    monkeypatch.setattr(current, "build_image", build)
    monkeypatch.setattr(current, "folder_of", lambda package: tmp_path / "sources" / package)
    sources(tmp_path / "sources" / "demo_shop")
    return done


def test_an_image_is_built_again_only_when_its_sources_changed(tmp_path: Path, builds: list[str]) -> None:
    current_image(RECIPES["shop"], tmp_path)
    current_image(RECIPES["shop"], tmp_path)
    assert builds == ["demo-shop"]

    (tmp_path / "sources" / "demo_shop" / "pkg" / "a.py").write_text("A = 2\n")
    current_image(RECIPES["shop"], tmp_path)
    assert builds == ["demo-shop", "demo-shop"]


def test_a_file_that_moved_is_a_change_and_one_that_is_left_out_is_none(tmp_path: Path, builds: list[str]) -> None:
    package = tmp_path / "sources" / "demo_shop"
    current_image(RECIPES["shop"], tmp_path)

    (package / "local").mkdir()
    (package / "local" / "launcher.py").touch()
    current_image(RECIPES["shop"], tmp_path)
    assert builds == ["demo-shop"]

    (package / "pkg").rename(package / "renamed")
    current_image(RECIPES["shop"], tmp_path)
    assert builds == ["demo-shop", "demo-shop"]


def test_an_archive_that_nothing_vouches_for_is_not_kept(tmp_path: Path, builds: list[str]) -> None:
    (tmp_path / "demo-shop.tar").touch()

    current_image(RECIPES["shop"], tmp_path)

    assert builds == ["demo-shop"]
