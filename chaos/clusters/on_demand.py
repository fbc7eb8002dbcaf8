"""Programs that no cluster is made of and only some experiments want: compiled when asked for, never by tests or CI.

Their pins lie apart from those of clusters: a change of theirs builds no cluster's programs again, nor the reverse.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from chaos.clusters.building import Built, compile_missing
from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.folders import ClusterFolders
from chaos.clusters.processes import run
from chaos.clusters.programs import Program, pins_key, programs_folder

PINS_ON_DEMAND = Path(__file__).parent / "tools_on_demand"


@dataclass(frozen=True, slots=True)
class ProgramSet:
    """Programs of one module. `kept` is a folder of the module that lies beside them: what installs them."""

    name: str
    module: str
    programs: tuple[Program, ...]
    kept: str


_KEDA = "github.com/kedacore/keda/v2"


def _of_keda(name: str, package: str) -> Program:
    return Program(name, "keda", f"{_KEDA}/cmd/{package}", stamp=f"-X {_KEDA}/version.Version={{number}}", module=_KEDA)


#: Its admission webhooks are not built: they only refuse ScaledObjects that are wrong.
KEDA = ProgramSet(
    name="keda",
    module=_KEDA,
    programs=(_of_keda("keda", "operator"), _of_keda("keda-adapter", "adapter")),
    kept="config",
)
SETS: Mapping[str, ProgramSet] = {KEDA.name: KEDA}


def set_folder(folders: ClusterFolders, which: ProgramSet, pins: Path = PINS_ON_DEMAND) -> Path:
    return folders.on_demand / f"{which.name}-{pins_key(pins / which.name, which)}"


def ready_set(folders: ClusterFolders, which: ProgramSet) -> Path:
    """The folder of its programs. Raises `ClusterFailed` with how they come when one is missing."""
    folder = set_folder(folders, which)
    if not (folder / which.kept).is_dir() or not all((folder / program.name).is_file() for program in which.programs):
        raise ClusterFailed(f"{which.name} is not built: run `foresail cluster build --with {which.name}` (once)")
    return folder


def folder_of_programs(names: Collection[str], folders: ClusterFolders) -> Path:
    """Where programs of these names lie: in the set that has them, else with those of clusters.

    Raises `ClusterFailed` when it is a set that is not built.
    """
    for which in SETS.values():
        if any(program.name in names for program in which.programs):
            return ready_set(folders, which)
    return programs_folder(folders)


def build_set(
    which: ProgramSet,
    folders: ClusterFolders,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    *,
    compilers: int | None = None,
) -> tuple[Built, ...]:
    """Compiles what is missing of a set, and nothing else; returns what was compiled. Raises `ClusterFailed`.

    A build that was killed goes on where it was. `compilers` limits how many packages are compiled at a time.
    """
    target = set_folder(folders, which)
    alone = {**environment, "GOWORK": "off", "GOTOOLCHAIN": "local"}
    built = compile_missing(which.programs, PINS_ON_DEMAND, target, alone, say, compilers)
    if not (target / which.kept).is_dir():
        source = PINS_ON_DEMAND / which.name
        module = run("go", "list", "-m", "-f", "{{.Dir}}", which.module, folder=source, environment=alone)
        _keep(Path(module.strip()) / which.kept, target / which.kept)
    for folder in folders.on_demand.glob(f"{which.name}-*"):
        if folder != target:
            shutil.rmtree(folder, ignore_errors=True)
    return built


def _keep(source: Path, target: Path) -> None:
    """A copy that can be deleted, as Go's own cannot; the name appears only with all of it."""
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for file in source.rglob("*"):
        if file.is_file():
            copy = unfinished / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    unfinished.rename(target)
