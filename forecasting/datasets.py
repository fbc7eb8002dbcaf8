"""The real series of a data folder in groups, what may be trained on, and splits that never mix.

`load_groups("../shared/data")` reads the public sets of `DATA_SETS`; folders that are absent are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np

from forecasting.series_files import Series, read_series
from forecasting.series_times import times_s

Groups = Mapping[str, tuple[Series, ...]]


@dataclass(frozen=True, slots=True)
class DataSet:
    """Where series come from, for the model card. `groups` are those that `load_groups` makes of it."""

    folder: str
    holds: str
    licence: str
    source: str
    groups: tuple[str, ...]
    trained_on: bool = True


DATA_SETS: Final = (
    DataSet(
        "ms-cloud-monitoring",
        "rates, latencies and crashes of Microsoft's cloud services, 1 min and 1 h",
        "MIT",
        "microsoft/cloud-monitoring-dataset",
        (
            "application-crash-rate-1", "application-crash-rate-2", "consumer-purchase-rate", "data-ingress-rate",
            "middle-tier-api-dependency-latency", "mongodb-application-rps", "mongodb-machine-rps",
            "service-unavailable",
        ),
    ),
    DataSet(
        "nab",
        "AWS CloudWatch metrics, failures with known causes, tweet counts, mostly 5 min",
        "MIT",
        "numenta/NAB",
        ("realAWSCloudwatch", "realKnownCause", "realTweets"),
    ),
    DataSet(
        "nezha-online-boutique",
        "CPU, memory, network, latency and work of Online Boutique's pods, 1 min, with and without injected faults",
        "MIT",
        "IntelligentDDS/Nezha",
        ("nezha-faults", "nezha-normal"),
    ),
    DataSet(
        "petshop",
        "latency, requests and availability of a shop of 41 components, 5 min",
        "CC-BY-4.0",
        "amazon-science/petshop-root-cause-analysis",
        ("petshop",),
    ),
    DataSet(
        "azure-vm-cpu",
        "CPU of a fleet of VMs, 5 min",
        "Apache-2.0 over CC-BY data",
        "Azure public dataset",
        ("azure-vm-cpu",),
    ),
    DataSet(
        "autothrottle-traces",
        "request rates, 1 s; kept for reported experiments",
        "MIT",
        "microsoft/autothrottle",
        ("autothrottle",),
        trained_on=False,
    ),
)  # fmt: skip

#: Groups that reported experiments replay: training and tuning must not see them.
NEVER_TRAINED: Final = frozenset(group for data in DATA_SETS if not data.trained_on for group in data.groups)

#: A series with fewer known points says nothing about a horizon.
FEWEST_KNOWN: Final = 96
#: So many series of a group are taken; the larger groups repeat themselves (five latency quantiles of each component).
MOST_SERIES: Final = 64

#: Groups that were measured at the same pods.
_SAME_SYSTEM: Final = {"nezha-faults": "nezha", "nezha-normal": "nezha"}

#: Columns that repeat others: quantiles between P90 and P99, shares of a limit, and the node that several pods share.
_NEZHA_REPEATS: Final = ("P95(s)", "CpuUsageRate(%)", "MemoryUsageRate(%)", "NodeNetworkReceiveBytes")
#: Minutes from 1 to 6 after an injection show it in the pods' CPU.
_NEZHA_FAULT_S: Final = 360.0
#: So long after the last injection everything counts as normal again.
_NEZHA_RECOVERED_S: Final = 900.0


def load_groups(data_dir: Path | str, most_series: int = MOST_SERIES) -> dict[str, tuple[Series, ...]]:
    """Every group of the folder with its series, at most `most_series` each, chosen by name and always the same.

    Series that never change or have fewer than `FEWEST_KNOWN` points are left out. Labels mark anomalies. Raises
    `SeriesFileInvalid` for a broken file.
    """
    root = Path(data_dir)
    series = [
        *_microsoft(root / "ms-cloud-monitoring" / "data"),
        *_numenta(root / "nab"),
        *_nezha(root / "nezha-online-boutique" / "rca_data"),
        *_petshop(root / "petshop" / "dataset" / "high_traffic" / "noissue" / "metrics.csv"),
        *_regrouped(_files(root / "azure-vm-cpu"), "azure-vm-cpu"),
        *_regrouped(_files(root / "autothrottle-traces" / "traces", "*.txt", step_s=1.0), "autothrottle"),
    ]
    groups: dict[str, list[Series]] = {}
    for one in series:
        if one.known >= FEWEST_KNOWN and np.nanmin(one.values) < np.nanmax(one.values):
            groups.setdefault(one.group, []).append(one)
    return {group: _chosen(members, most_series) for group, members in sorted(groups.items())}


def trainable(groups: Groups) -> dict[str, tuple[Series, ...]]:
    """The groups without those of `NEVER_TRAINED`."""
    return {group: members for group, members in groups.items() if group not in NEVER_TRAINED}


def split_by_time(series: Series, share: float = 0.7) -> tuple[Series, Series]:
    """The earlier `share` of the points and the later rest."""
    border = round(series.values.size * share)
    return series.part(0, border), series.part(border, series.values.size)


def split_by_series(groups: Groups, seed: int, share: float = 0.8) -> tuple[dict[str, tuple[Series, ...]], ...]:
    """Two sets of groups: about `share` of the series of each group, and the others.

    A series' side depends on seed and name alone: more series or another order change nothing for it, and one that
    is cut into two groups stays on one side.
    """
    sides: tuple[dict[str, tuple[Series, ...]], ...] = ({}, {})
    for group, members in groups.items():
        for side, wanted in zip(sides, (True, False), strict=True):
            side[group] = tuple(one for one in members if (_draw(seed, one.name) < share) is wanted)
    return sides


def folds(groups: Groups, count: int = 4) -> tuple[tuple[str, ...], ...]:
    """The groups to hold out in each of `count` rounds, every trainable group once.

    The fullest are dealt out first, each to the fold with the fewest groups and points. Groups of one system go
    together, else a model would have seen the pods that it is tested on.
    """
    sizes = {group: sum(one.known for one in members) for group, members in trainable(groups).items()}
    systems: dict[str, list[str]] = {}
    for group in sorted(sizes):
        systems.setdefault(_SAME_SYSTEM.get(group, group), []).append(group)
    held: list[list[str]] = [[] for _ in range(count)]
    for together in sorted(systems.values(), key=lambda names: (-len(names), -sum(sizes[name] for name in names))):
        least = min(held, key=lambda names: (len(names), sum(sizes[name] for name in names)))
        least.extend(together)
    return tuple(tuple(sorted(names)) for names in held)


def _draw(*key: object) -> float:
    """A number from [0, 1) that belongs to the key."""
    digest = blake2b("\x1f".join(map(str, key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2.0**64


def _chosen(members: Sequence[Series], most: int) -> tuple[Series, ...]:
    drawn = sorted(members, key=lambda one: (_draw("chosen", one.group, one.name), one.name))[:most]
    return tuple(sorted(drawn, key=lambda one: one.name))


def _files(folder: Path, pattern: str = "*.csv", step_s: float | None = None) -> Iterator[Series]:
    for path in sorted(folder.glob(pattern)):
        yield from read_series(path, step_s)


def _regrouped(series: Iterable[Series], group: str) -> Iterator[Series]:
    return (replace(one, group=group) for one in series)


def _microsoft(root: Path) -> Iterator[Series]:
    """One group per folder; labels are the file's own."""
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        yield from _files(folder)


def _numenta(root: Path) -> Iterator[Series]:
    """One group per folder; labels are the anomaly windows beside the data."""
    listed = root / "labels" / "combined_windows.json"
    windows = json.loads(listed.read_text(encoding="utf-8")) if listed.is_file() else {}
    for folder in sorted(path for path in (root / "data").glob("*") if path.is_dir()):
        for series in _files(folder):
            spans = windows.get(f"{folder.name}/{series.name}.csv")
            yield series if spans is None else _labelled(series, [tuple(times_s(span)[0].tolist()) for span in spans])


def _nezha(root: Path) -> Iterator[Series]:
    """Each day in two groups: while faults were injected (`nezha-faults`, labelled at the pod hit), and afterwards.

    The folder of normal data holds the same measurements as that with faults, so only the latter is read.
    """
    for day in sorted(path for path in root.glob("*") if path.is_dir()):
        faults = json.loads((day / f"{day.name}-fault_list.json").read_text(encoding="utf-8"))
        injected = [(float(f["inject_timestamp"]), str(f["inject_pod"])) for hour in faults.values() for f in hour]
        recovered_s = max(at_s for at_s, _ in injected) + _NEZHA_RECOVERED_S
        for path in sorted((day / "metric").glob("*.csv")):
            if path.name == "dependency.csv":
                continue
            for series in read_series(path):
                if series.name.endswith(_NEZHA_REPEATS):
                    continue
                named = replace(series, name=f"{day.name}/{series.name.replace('_metric/', '/')}")
                hits = [(at_s, at_s + _NEZHA_FAULT_S) for at_s, pod in injected if path.name.startswith(pod)]
                assert named.start_at_s is not None
                border = round((recovered_s - named.start_at_s) / named.step_s)
                yield replace(_labelled(named.part(0, border), hits), group="nezha-faults")
                yield replace(named.part(border, named.values.size), group="nezha-normal")


def _petshop(path: Path) -> Iterator[Series]:
    """Mean and worst latencies, requests and availability; the quantiles in between repeat them."""
    if not path.is_file():
        return
    for series in read_series(path):
        if series.name.endswith(("latency Average", "latency p99", "requests Sum", "availability Average")):
            yield replace(series, name=series.name.removeprefix("metrics/"), group="petshop")


def _labelled(series: Series, windows: Sequence[tuple[float, ...]]) -> Series:
    """The series with the points inside the windows (unix seconds) marked."""
    assert series.start_at_s is not None
    at_s = series.start_at_s + series.step_s * np.arange(series.values.size)
    labels = np.zeros(series.values.size, dtype=np.bool_)
    for first_s, last_s in windows:
        labels |= (at_s >= first_s) & (at_s <= last_s)
    return replace(series, labels=labels)
