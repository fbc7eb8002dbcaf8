from __future__ import annotations

import json

import pytest

from simulation.clock import TimeInvalid, clock_of, seconds_at
from simulation.reporting.explain_run import ExplanationUnavailable, explain_run


@pytest.fixture
def folder(tmp_path):
    about = {"arms": {"hpa-tuned": {}, "foresail": {}}, "seeds": [1, 2], "starts_at": "12:00", "duration_s": 7200}
    (tmp_path / "summary.json").write_text(json.dumps(about))
    lines = [
        ("foresail", 1, 1800, "gateway", "first"),
        ("foresail", 1, 1850, "gateway", "second"),
        ("foresail", 1, 1845, "checkout", "other"),
        ("foresail", 2, 1850, "gateway", "other seed"),
        ("hpa-tuned", 1, 1850, "gateway", "other arm"),
    ]
    (tmp_path / "decisions.jsonl").write_text(
        "".join(
            json.dumps({"event": "decision", "arm": a, "seed": s, "at_s": t, "workload": w, "sentence": text}) + "\n"
            for a, s, t, w, text in lines
        )
    )
    return tmp_path


def said(explanation):
    return [line["sentence"] for line in explanation.lines]


def test_the_latest_decision_of_each_workload_in_the_last_minute_is_told(folder):
    # 12:31 is 1860 s
    found = explain_run(folder, "12:31")

    assert said(found) == ["other", "second"]
    assert not found.nearest


def test_arm_and_seed_can_be_chosen(folder):
    assert said(explain_run(folder, "12:31", seed=2)) == ["other seed"]
    assert said(explain_run(folder, "12:31", arm="hpa-tuned")) == ["other arm"]


def test_where_nothing_changed_the_closest_decisions_stand_in(folder):
    found = explain_run(folder, "13:00")

    assert found.nearest
    assert said(found) == ["other"]  # the last line before it in the file


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"arm": "kpa"}, "there are hpa-tuned, foresail", id="arm"),
        pytest.param({"seed": 9}, "there are 1, 2", id="seed"),
    ],
)
def test_what_was_not_run_is_named(folder, arguments, message):
    with pytest.raises(ExplanationUnavailable, match=message):
        explain_run(folder, "12:31", **arguments)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ExplanationUnavailable, match="give the --out folder"):
        explain_run(tmp_path, "12:31")


@pytest.mark.parametrize(
    ("text", "starts_at", "expected"),
    [
        ("12:31", "12:00", 1860),
        ("12:31:15", "12:00", 1875),
        ("00:10", "23:50", 1200),
        ("day 2 00:10", "23:50", 1200),
        ("9:05", "09:00", 300),
    ],
)
def test_clock_times_are_seconds_of_the_run(text, starts_at, expected):
    assert seconds_at(text, starts_at, 7200) == expected


@pytest.mark.parametrize(
    ("text", "message"), [("25:00", "is no time"), ("soon", "is no time"), ("11:59", "from 12:00 to 14:00")]
)
def test_times_outside_the_run_are_refused(text, message):
    with pytest.raises(TimeInvalid, match=message):
        seconds_at(text, "12:00", 7200)


def test_the_clock_knows_the_day(made_scenario):
    clock = clock_of(made_scenario(100))

    assert clock(0) == "12:00:00"
    assert clock(12 * 3600 + 61) == "day 2 00:01:01"
