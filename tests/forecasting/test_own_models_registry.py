from __future__ import annotations

import json
from pathlib import Path

import pytest

from forecasting.own_models.errors import RegistryInvalid
from forecasting.own_models.gate import SignalScore
from forecasting.own_models.manifest import Manifest, ModelEntry
from forecasting.own_models.registry import (
    SETS_KEPT,
    SPARE_MODELS,
    free_id,
    model_files,
    model_folder,
    problems,
    read_registry,
    registered,
    removed,
    rolled_back,
)

SCORE = SignalScore("checkout", 40, -0.2, -0.3, -0.1)


def _add(folder: Path, model_id: str, signals: dict[str, str], scratch: Path) -> Manifest:
    """Registers a model whose files hold its name, and promotes `signals`."""
    trained = scratch / model_id
    trained.mkdir(parents=True)
    (trained / "model.onnx").write_text(model_id)
    (trained / "card.json").write_text("{}")
    entry = ModelEntry(model_id, "tide", "2026-11-21", model_files(trained), 1, 900, 60.0, None, (SCORE,))
    return registered(folder, [entry], {model_id: trained}, signals, "2026-11-21")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A registry with two generations: the second took one of two signals over."""
    folder = tmp_path / "models"
    _add(folder, "old", {"checkout": "old", "cart": "old"}, tmp_path)
    _add(folder, "new", {"checkout": "new", "cart": "old"}, tmp_path)
    return folder


def test_what_was_registered_is_read_back(folder: Path) -> None:
    manifest = read_registry(folder)

    assert [model.id for model in manifest.models] == ["old", "new"]
    assert manifest.promoted == {"checkout": "new", "cart": "old"}
    assert manifest.model("new").scores == (SCORE,)
    assert model_folder(folder, manifest.model("new")) == folder / "new"


def test_rollback_restores_the_set_before_and_a_second_one_leaves_the_default(folder: Path) -> None:
    assert rolled_back(folder).promoted == {"checkout": "old", "cart": "old"}
    assert rolled_back(folder).promoted == {}
    with pytest.raises(RegistryInvalid, match="nothing to go back from"):
        rolled_back(folder)


def test_rollback_to_a_number_goes_forward_again(folder: Path) -> None:
    rolled_back(folder, to=1)

    assert rolled_back(folder, to=2).promoted == {"checkout": "new", "cart": "old"}


def test_after_a_rollback_the_next_rollback_skips_what_was_rolled_back(folder: Path, tmp_path: Path) -> None:
    rolled_back(folder)
    _add(folder, "third", {"checkout": "third"}, tmp_path)

    assert rolled_back(folder).promoted == {"checkout": "old", "cart": "old"}


def test_rollback_refuses_a_set_whose_model_was_changed(folder: Path) -> None:
    (folder / "old" / "model.onnx").write_text("something else")

    with pytest.raises(RegistryInvalid, match=r"old/model\.onnx is missing or was changed"):
        rolled_back(folder)
    assert read_registry(folder).active == 2


def test_rollback_to_an_unknown_set_names_those_that_are_kept(folder: Path) -> None:
    with pytest.raises(RegistryInvalid, match="no promotion set 9; kept are: 1, 2"):
        rolled_back(folder, to=9)


def test_a_model_in_use_is_not_removed(folder: Path) -> None:
    with pytest.raises(RegistryInvalid, match="new is in use"):
        removed(folder, "new")


def test_a_removed_model_is_gone_from_disk_and_from_past_sets(folder: Path) -> None:
    rolled_back(folder, to=2)
    rolled_back(folder)

    manifest = removed(folder, "new")

    assert not (folder / "new").exists()
    assert [model.id for model in manifest.models] == ["old"]
    assert rolled_back(folder, to=2).promoted == {"cart": "old"}


def test_a_changed_file_of_a_promoted_model_is_a_problem(folder: Path) -> None:
    (folder / "new" / "model.onnx").write_text("something else")

    found = problems(folder, read_registry(folder))

    assert list(found) == ["new"]


@pytest.mark.parametrize("name", ["weights.pkl", "weights.PT", "extra.npz"])
def test_anything_that_could_hold_a_pickle_is_refused(folder: Path, name: str) -> None:
    (folder / "new" / name).write_bytes(b"\x80\x04.")

    with pytest.raises(RegistryInvalid, match="never pickles"):
        model_folder(folder, read_registry(folder).model("new"))


def test_a_missing_folder_is_told(folder: Path) -> None:
    (folder / "new").rename(folder / "away")

    with pytest.raises(RegistryInvalid, match="new is missing"):
        model_folder(folder, read_registry(folder).model("new"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "is no registry", id="empty"),
        pytest.param("[]", "is no registry", id="list"),
        pytest.param('{"schema": 7, "models": [], "sets": [], "active": null}', "has schema 7", id="schema"),
        pytest.param('{"schema": 1, "sets": [], "active": null}', "is no registry", id="no-models"),
        pytest.param('{"schema": 1, "models": [], "sets": [], "active": 3}', "no promotion set 3", id="no-set"),
        pytest.param('{"schema": 1, "models": [{"id": "a"}], "sets": [], "active": null}', "is no registry", id="bare"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "registry.json").write_text(text)

    with pytest.raises(RegistryInvalid, match=said):
        read_registry(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        pytest.param("id", "../elsewhere", "is no model's name", id="leads-out"),
        pytest.param("files", {"../../x.onnx": "0" * 64}, "is no file of a model", id="file-leads-out"),
        pytest.param("files", {"model.pkl": "0" * 64}, "is no file of a model", id="pickle"),
        pytest.param("files", {"model.onnx": "short"}, "is no file of a model", id="no-checksum"),
    ],
)
def test_a_manifest_that_leads_out_of_the_registry_is_refused(
    folder: Path, field: str, value: object, said: str
) -> None:
    raw = json.loads((folder / "registry.json").read_text())
    raw["models"][1][field] = value
    (folder / "registry.json").write_text(json.dumps(raw))

    with pytest.raises(RegistryInvalid, match=said):
        read_registry(folder)


def test_no_registry_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(RegistryInvalid, match="foresail train"):
        read_registry(tmp_path)


def test_two_models_of_one_moment_get_different_names(folder: Path) -> None:
    assert free_id(folder, "new") == "new-2"
    assert free_id(folder, "other") == "other"


def test_only_what_can_be_gone_back_to_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    for number in range(SETS_KEPT + SPARE_MODELS + 3):
        manifest = _add(folder, f"model-{number}", {"checkout": f"model-{number}"}, tmp_path)

    assert len(manifest.sets) == SETS_KEPT
    assert len(manifest.models) == SETS_KEPT
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == sorted(m.id for m in manifest.models)
    assert manifest.sets[0].before is None
