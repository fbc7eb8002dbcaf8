"""The project's own images: what each is made of. They agree with the Dockerfiles in paths, users and commands."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from chaos.clusters.images.archive import ImageInvalid, ImageSettings, write_image, write_layer
from chaos.clusters.images.debian import Account, DebianLayer, debian_layer
from chaos.clusters.images.wheels import folder_of, install_wheels, leave_out, write_scripts

_PYTHON_PACKAGES = ("ca-certificates", "libstdc++6", "python3", "python-is-python3")  # numpy's wheels want libstdc++
_PYTHON_ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "HOME": "/tmp"}
REQUIREMENTS = Path(__file__).parents[3] / "requirements"


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image: a layer of Debian packages, one of wheels, one of the project's own files.

    `sources` are packages of this project; `commands` are programs that wheels bring, `own_commands` name functions.
    `programs` are some of those that are compiled here: they need nothing beside them, `debian` can be None.
    """

    name: str
    debian: DebianLayer | None
    settings: ImageSettings
    home: str = ""  # folder of wheels and sources in the image
    lock: str = ""  # file of requirements/
    sources: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()  # folders of the sources, as PACKAGE/FOLDER
    unused: tuple[str, ...] = ()  # patterns of files and folders of the wheels that nothing of ours asks for
    commands: tuple[str, ...] = ()
    own_commands: Mapping[str, str] = field(default_factory=dict)
    programs: tuple[str, ...] = ()

    @property
    def tag(self) -> str:
        return f"{self.name}:{version('foresail')}"


def _python_settings(home: str, user: int, entrypoint: tuple[str, ...], **environment: str) -> ImageSettings:
    paths = {"PYTHONPATH": f"{home}/app:{home}/packages"}
    return ImageSettings(entrypoint, (), {**paths, **_PYTHON_ENVIRONMENT, **environment}, f"{user}:{user}", "/tmp")


OPERATOR = Recipe(
    name="foresail",
    debian=DebianLayer(_PYTHON_PACKAGES, Account("foresail", 10001, "/tmp")),
    settings=_python_settings("/opt/foresail", 10001, ("foresail",)),
    home="/opt/foresail",
    lock="operator.txt",
    sources=("foresail", "policies", "forecasting"),
    left_out=("forecasting/training", "forecasting/workloads"),
    # A second client of Kubernetes, and onnxruntime as a library for other languages than Python.
    unused=("kubernetes/aio", "onnxruntime/capi/libonnxruntime.so.*"),
    commands=("kopf",),
    own_commands={"foresail": "foresail.cli:main"},
)
SHOP = Recipe(
    name="demo-shop",
    debian=DebianLayer(_PYTHON_PACKAGES, Account("shop", 10001, "/tmp")),
    settings=_python_settings(
        *("/opt/shop", 10001, ("python", "-m", "demo_shop")),
        SHOP_HOST="0.0.0.0",
        SHOP_PORT="8080",
        SHOP_MANAGEMENT_PORT="9090",
    ),
    home="/opt/shop",
    lock="shop.txt",
    sources=("demo_shop",),
    left_out=("demo_shop/local",),
)
STORES = Recipe(
    name="demo-shop-stores",
    debian=DebianLayer(
        packages=(
            *("patroni", "postgresql-15", "python3-etcd", "python3-kubernetes", "python3-psycopg2"),
            *("redis-server", "tini"),
        ),
        account=Account("postgres", 10002, "/var/lib/postgresql"),
        own_folders=("/data",),
        files=(("/etc/postgresql-common/createcluster.d/shop.conf", "create_main_cluster = false"),),
    ),
    settings=ImageSettings(
        entrypoint=("/usr/bin/tini", "--"),
        command=("patroni", "/config/patroni.yml"),
        environment={
            "PATH": "/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
        },
        user="10002:10002",
        folder="/data",
    ),
)
#: What the demo shop's chart asks for beside the shop: its own Prometheus, and the Job that sends load.
PROMETHEUS = Recipe(
    name="demo-shop-prometheus",
    debian=None,
    settings=ImageSettings(("/usr/local/bin/prometheus",), user="65534:65534", folder="/data"),
    programs=("prometheus",),
)
LOAD = Recipe(
    name="demo-shop-load",
    debian=SHOP.debian,
    settings=_python_settings("/opt/load", 10001, ("foresail", "load")),
    home="/opt/load",
    lock="load.txt",
    sources=("foresail", "chaos", "simulation", "policies", "forecasting"),
    left_out=("chaos/clusters", "forecasting/models", "forecasting/training", "forecasting/workloads"),
    own_commands={"foresail": "foresail.cli:main"},
)
#: Operator and metrics adapter, of programs that are built on demand.
KEDA = Recipe(
    name="keda",
    debian=None,
    settings=ImageSettings(user="65532:65532", folder="/"),
    programs=("keda", "keda-adapter"),
)
RECIPES = {"operator": OPERATOR, "shop": SHOP, "stores": STORES}
#: Not needed where Prometheus runs beside the cluster and load comes from outside of its pods, as in tests.
EXTRA_RECIPES = {"prometheus": PROMETHEUS, "load": LOAD, "keda": KEDA}


def build_image(recipe: Recipe, cache: Path, target: Path | None = None, programs: Path | None = None) -> Path:
    """The image's archive, in the cache when no target is given. Raises `ImageInvalid` or `ClusterFailed`.

    `programs`: the folder of the programs that are compiled here, for recipes that take some of them.
    """
    archive = target or cache / f"{recipe.name}.tar"
    archive.parent.mkdir(parents=True, exist_ok=True)
    layers = [] if recipe.debian is None else [debian_layer(recipe.debian, cache)]
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".image-") as scratch:
        for number, contents in enumerate(_own_layers(recipe, Path(scratch), programs)):
            layer = Path(scratch) / f"{number}.layer"
            write_layer(layer, contents)
            layers.append(layer)
        write_image(archive, recipe.tag, tuple(layers), recipe.settings)
    return archive


def _own_layers(recipe: Recipe, scratch: Path, programs: Path | None) -> list[dict[str, Path]]:
    """Wheels below, sources above: these change every day, and those seldom."""
    layers = []
    packages, scripts, app = scratch / "packages", scratch / "scripts", scratch / "app"
    if recipe.lock:
        install_wheels(REQUIREMENTS / recipe.lock, packages)
        leave_out(packages, recipe.unused)
        layers.append({f"{recipe.home}/packages": packages})
    top = {f"/usr/local/bin/{program}": _program(program, programs) for program in recipe.programs}
    if recipe.sources:
        for package in recipe.sources:
            shutil.copytree(folder_of(package), app / package, ignore=shutil.ignore_patterns("__pycache__"))
        for folder in recipe.left_out:
            if not (app / folder).is_dir():
                raise ImageInvalid(f"left_out: {folder} is not among the sources of {recipe.name}")
            shutil.rmtree(app / folder)
        top[f"{recipe.home}/app"] = app
    if recipe.commands or recipe.own_commands:
        write_scripts(packages, recipe.commands, dict(recipe.own_commands), scripts)
        top.update({f"/usr/local/bin/{script.name}": script for script in scripts.iterdir()})
    if top:
        layers.append(top)
    return layers


def _program(name: str, programs: Path | None) -> Path:
    if programs is None or not (programs / name).is_file():
        raise ImageInvalid(f"{name} is not built: run `foresail cluster build`")
    return programs / name
