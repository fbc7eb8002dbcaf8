"""Hub models from a local folder: a tiny Chronos-2 with random weights stands for the real one. No network."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecasting.forecast import LEVELS, ForecastRequest
from forecasting.own_models.errors import HubModelInvalid
from forecasting.own_models.hub import HubWorker, at_our_levels, hub_entry
from forecasting.own_models.hub_files import checked_files
from forecasting.own_models.runner import OwnModelForecaster
from forecasting.quantiles import NORMAL_SCORES

# darts, torch and Lightning warn of themselves.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("own-models")]

THEIR_LEVELS = [0.01, *(round(0.05 * place, 2) for place in range(1, 20)), 0.99]
CONFIG = {
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 1,
    "num_heads": 2,
    "dropout_rate": 0.0,
    "feed_forward_proj": "relu",
    "chronos_config": {
        "context_length": 256,
        "output_patch_size": 16,
        "input_patch_size": 16,
        "input_patch_stride": 16,
        "quantiles": THEIR_LEVELS,
        "use_reg_token": True,
        "use_arcsinh": True,
        "max_output_patches": 8,
        "time_encoding_scale": 256,
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as one downloads it, with weights that nobody trained."""
    import torch
    from darts import TimeSeries
    from darts.models import Chronos2Model
    from darts.models.components.huggingface_connector import HuggingFaceConnector
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("chronos")
    (folder / "config.json").write_text(json.dumps(CONFIG))

    def saved(self: Any, module: torch.nn.Module) -> None:
        weights = {name: value.contiguous().clone() for name, value in module.state_dict().items()}
        save_file(weights, folder / "model.safetensors")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HuggingFaceConnector, "load_model_weights", saved)
        torch.manual_seed(0)
        model = Chronos2Model(
            input_chunk_length=64,
            output_chunk_length=64,
            local_dir=folder,
            pl_trainer_kwargs={"accelerator": "cpu", "logger": False},
        )
        model.fit(TimeSeries.from_values(np.zeros(200, dtype=np.float32)))
    return folder


def test_levels_between_theirs_and_beyond_them_follow_the_normal_score() -> None:
    levels = np.asarray(THEIR_LEVELS)
    scores = np.interp(levels, LEVELS, NORMAL_SCORES)

    ours = at_our_levels(scores[None], levels)

    # A standard normal has its own score at every level, those beyond 0.01 and 0.99 included.
    np.testing.assert_allclose(ours[0], NORMAL_SCORES, atol=1e-9)


def test_a_worker_answers_as_part_of_a_forecaster(folder: Path) -> None:
    worker = HubWorker(hub_entry(folder, "chronos2-x", "2026-11-21"))
    try:
        values = np.stack([100.0 + np.sin(np.arange(300) / 9.0), 1e9 + np.arange(300.0)])
        values[0, 250:260] = np.nan
        request = ForecastRequest(("a", "b"), values, 60.0, 0.0, 32)
        forecast, _ = OwnModelForecaster("chronos2-x", worker).forecast(request, None, 0.0, np.random.default_rng(0))
    finally:
        worker.close()

    assert forecast.unavailable == {}
    assert np.isfinite(forecast.paths).all()
    assert np.all(np.diff(forecast.quantiles, axis=2) >= 0.0)
    # Weights are random, but levels are not: the series' own scaling is undone.
    assert 90.0 < forecast.quantiles[0].min() <= forecast.quantiles[0].max() < 110.0
    assert abs(forecast.quantiles[1].mean() - 1e9) < 1e4


def test_a_folder_that_was_changed_since_it_was_judged_is_refused(folder: Path) -> None:
    entry = hub_entry(folder, "chronos2-x", "2026-11-21")
    before = (folder / "config.json").read_text()
    (folder / "config.json").write_text(before + " ")
    try:
        with pytest.raises(HubModelInvalid, match="changed since it was judged"):
            HubWorker(entry)
    finally:
        (folder / "config.json").write_text(before)


def test_a_pickle_that_is_called_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors").write_bytes(pickle.dumps({"weights": 1}))

    with pytest.raises(HubModelInvalid, match="holds no safetensors"):
        hub_entry(tmp_path, "chronos2-x", "2026-11-21")


def test_a_worker_that_cannot_load_its_weights_tells_why_and_ends(tmp_path: Path) -> None:
    from forecasting.own_models.hub_worker import serve

    answers = io.StringIO()

    serve(tmp_path, 64, 64, io.StringIO('{"values": 1}\n'), answers)

    assert json.loads(answers.getvalue())["error"].startswith("FileNotFoundError")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param({}, "config.json is missing", id="empty"),
        pytest.param({"config.json": json.dumps(CONFIG)}, "model.safetensors is missing", id="no-weights"),
        pytest.param({"config.json": "{}", "model.safetensors": "x"}, "describes no Chronos-2", id="another-model"),
        pytest.param(
            {"config.json": '{"chronos_config": {"quantiles": [0.9, 0.5]}}', "model.safetensors": "x"},
            "no rising levels",
            id="levels",
        ),
        pytest.param(
            {"config.json": json.dumps(CONFIG), "model.safetensors": "x", "pytorch_model.bin": "x"},
            "never pickles",
            id="pickle",
        ),
    ],
)
def test_a_folder_that_holds_no_hub_model_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    with pytest.raises(HubModelInvalid, match=said):
        checked_files(tmp_path)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(HubModelInvalid, match="is no folder"):
        checked_files(tmp_path / "nowhere")
