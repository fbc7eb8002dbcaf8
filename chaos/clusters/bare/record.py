"""What a running cluster remembers of itself, so that any later program finds it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.plan import ClusterPlan, PlanInvalid, timers_named

_FILE = "cluster.json"


@dataclass(frozen=True, slots=True)
class Record:
    plan: ClusterPlan
    programs: Path
    store: str  # name of the image store that its nodes share
    complete: bool  # False while it comes up: what is found so later was left by a killed `up`

    def write(self, state: Path) -> None:
        plan = {**asdict(self.plan), "timers": self.plan.timers.name, "images": [str(i) for i in self.plan.images]}
        document = {"plan": plan, "programs": str(self.programs), "store": self.store, "complete": self.complete}
        unfinished = state / f".{_FILE}"
        unfinished.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(state / _FILE)


def read_record(state: Path) -> Record | None:
    """None when there is no such cluster, or only the beginnings of one."""
    try:
        document = json.loads((state / _FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ClusterFailed(f"{state / _FILE}: cannot be read ({error}): take the cluster down") from None
    try:
        given = dict(document["plan"])
        given["timers"] = timers_named(given["timers"])
        given["images"] = tuple(Path(image) for image in given["images"])
        return Record(ClusterPlan(**given), Path(document["programs"]), document["store"], document["complete"])
    except (KeyError, TypeError, PlanInvalid) as error:
        raise ClusterFailed(
            f"{state / _FILE}: not as this version writes it ({error}): take the cluster down"
        ) from None


def stores_in_use(clusters: Path) -> tuple[str, ...]:
    """Of all clusters, up or half up."""
    found = []
    for file in clusters.glob(f"*/{_FILE}"):
        try:
            found.append(str(json.loads(file.read_text(encoding="utf-8"))["store"]))
        except (OSError, ValueError, KeyError):
            continue
    return tuple(found)
