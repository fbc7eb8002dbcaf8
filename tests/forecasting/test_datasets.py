from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from forecasting.datasets import (
    DATA_SETS,
    NEVER_TRAINED,
    folds,
    load_groups,
    split_by_series,
    split_by_time,
    trainable,
)
from forecasting.series_files import Series

REAL = Path(__file__).parents[2] / "../shared/data"
MAY_S = 19_844 * 86_400  # 2024-05-01 00:00 UTC


def series(name="a", group="g", points=10):
    return Series(name, group, np.arange(float(points)), 60.0, 0.0)


def table(path, columns, points, step_s=60, first_s=MAY_S):
    """A CSV of rising numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{first_s + step_s * k}" + f",{k}" * len(columns) + "\n" for k in range(points))
    path.write_text(",".join(("timestamp", *columns)) + "\n" + rows)


def test_groups_are_folders_and_labels_come_from_the_windows_beside_the_data(tmp_path):
    table(tmp_path / "nab/data/realAWSCloudwatch/cpu.csv", ["value"], 120, step_s=300)
    windows = {"realAWSCloudwatch/cpu.csv": [["2024-05-01 00:10:00.000000", "2024-05-01 00:20:00.000000"]]}
    (tmp_path / "nab/labels").mkdir()
    (tmp_path / "nab/labels/combined_windows.json").write_text(json.dumps(windows))
    table(tmp_path / "ms-cloud-monitoring/data/data-ingress-rate/in.csv", ["Value"], 120)

    groups = load_groups(tmp_path)

    assert list(groups) == ["data-ingress-rate", "realAWSCloudwatch"]
    # 00:10, 00:15 and 00:20 are points 2 to 4.
    assert np.flatnonzero(groups["realAWSCloudwatch"][0].labels).tolist() == [2, 3, 4]
    assert groups["data-ingress-rate"][0].labels is None


def test_a_day_with_faults_is_cut_where_the_last_is_over_and_labels_only_the_pod_hit(tmp_path):
    day = tmp_path / "nezha-online-boutique/rca_data/2024-05-01"
    for pod in ("cart-1", "web-1"):
        table(day / f"metric/{pod}_metric.csv", ["CpuUsage(m)", "CpuUsageRate(%)"], 400)
    faults = {"02": [{"inject_timestamp": str(MAY_S + 7200), "inject_pod": "cart-1", "inject_type": "cpu"}]}
    (day / "2024-05-01-fault_list.json").write_text(json.dumps(faults))

    groups = load_groups(tmp_path)

    cart, web = groups["nezha-faults"]
    assert (cart.name, web.name) == ("2024-05-01/cart-1/CpuUsage(m)", "2024-05-01/web-1/CpuUsage(m)")
    # Injected at minute 120; over 15 minutes later, so the cut is at 135, and minutes 120 to 126 are labelled.
    assert cart.values.size == 135
    assert np.flatnonzero(cart.labels).tolist() == list(range(120, 127))
    assert not web.labels.any()
    assert groups["nezha-normal"][0].values.tolist() == list(range(135, 400))


def test_flat_and_short_series_are_left_out(tmp_path):
    table(tmp_path / "azure-vm-cpu/short.csv", ["value"], 95)
    (tmp_path / "azure-vm-cpu/flat.csv").write_text("t,v\n" + "".join(f"{60 * k},5\n" for k in range(200)))

    assert load_groups(tmp_path) == {}


def test_a_large_group_is_thinned_in_the_same_way_each_time(tmp_path):
    table(tmp_path / "azure-vm-cpu/vms.csv", [f"vm{k}" for k in range(20)], 100)

    few, fewer = load_groups(tmp_path, most_series=8), load_groups(tmp_path, most_series=3)

    names = [one.name for one in few["azure-vm-cpu"]]
    assert len(names) == 8
    assert len(set(names)) == 8
    assert {one.name for one in fewer["azure-vm-cpu"]} < set(names)


def test_splits_in_time_without_overlap():
    earlier, later = split_by_time(series(points=10), 0.7)

    assert earlier.values.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert later.values.tolist() == [7, 8, 9]
    assert later.start_at_s == 420.0


def test_splits_by_series_whatever_else_is_there():
    names = [f"s{k}" for k in range(400)]
    whole = {"g": tuple(series(name) for name in names)}
    part = {"g": tuple(series(name) for name in reversed(names[:50]))}

    (train, test), (some_train, _) = split_by_series(whole, seed=3, share=0.8), split_by_series(part, seed=3, share=0.8)

    in_train = {one.name for one in train["g"]}
    assert in_train.isdisjoint(one.name for one in test["g"])
    assert len(in_train) + len(test["g"]) == 400
    assert abs(len(in_train) - 320) < 4 * 8  # sd of a binomial: sqrt(400 × 0.8 × 0.2) = 8
    assert {one.name for one in some_train["g"]} == in_train & set(names[:50])
    assert in_train != {one.name for one in split_by_series(whole, seed=4, share=0.8)[0]["g"]}


def test_one_series_cut_into_two_groups_stays_on_one_side():
    groups = {"nezha-faults": (series("pod/cpu"),), "nezha-normal": (series("pod/cpu"),)}

    for seed in range(20):
        train, _ = split_by_series(groups, seed, share=0.5)
        assert len(train["nezha-faults"]) == len(train["nezha-normal"])


def test_folds_hold_out_every_trainable_group_once_and_keep_one_system_together():
    sizes = {"a": 90, "b": 80, "c": 30, "d": 20, "e": 10, "nezha-faults": 5, "nezha-normal": 5, "autothrottle": 99}
    groups = {name: (series(name, name, points),) for name, points in sizes.items()}

    held = folds(groups, 3)

    assert sorted(name for fold in held for name in fold) == sorted(trainable(groups))
    assert "autothrottle" not in trainable(groups)
    # The pair goes first, then the others by size to the fold with the fewest groups: a, b; c joins b (80 < 90), d
    # joins a; now all hold two groups, and the pair's 10 points are the fewest.
    assert held == (("e", "nezha-faults", "nezha-normal"), ("a", "d"), ("b", "c"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the shared data sets are not here")
def test_the_real_sets_are_those_that_the_model_card_names():
    groups = load_groups(REAL, most_series=4)

    assert set(groups) == {group for data in DATA_SETS for group in data.groups}
    assert all(0 < len(members) <= 4 for members in groups.values())
    assert set(groups) > NEVER_TRAINED
    assert groups["mongodb-application-rps"][0].step_s == 60.0
    assert groups["nezha-faults"][0].start_at_s == pytest.approx(1_661_140_279, abs=60)
    assert any(one.labels is not None and one.labels.any() for one in groups["realKnownCause"])
    tweets = groups["realTweets"][0]
    assert tweets.known == tweets.values.size
