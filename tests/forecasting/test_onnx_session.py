"""Models are opened by their checksum, and nothing that could run code is opened at all."""

from __future__ import annotations

import pickle
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from forecasting.onnx_session import ModelFailed, ModelRefused, OnnxSession, sha256_of
from forecasting.serving import DEFAULT_MODEL

MODEL = DEFAULT_MODEL / "model.onnx"


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    changed = tmp_path / "model.onnx"
    changed.write_bytes(MODEL.read_bytes() + b"\0")
    with pytest.raises(ModelRefused, match="checksum"):
        OnnxSession(changed, sha256_of(MODEL))


def test_a_pickle_is_refused_even_with_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(pickle.dumps({"weights": [1.0]}))
    with pytest.raises(ModelRefused, match="pickles"):
        OnnxSession(path, sha256_of(path))


def test_an_archive_as_torch_writes_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"PK\x03\x04rest")
    with pytest.raises(ModelRefused, match="archives"):
        OnnxSession(path, sha256_of(path))


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"certainly no protocol buffer")
    with pytest.raises(ModelRefused, match="no ONNX model"):
        OnnxSession(path, sha256_of(path))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="cannot be read"):
        OnnxSession(tmp_path / "none.onnx", "0" * 64)


def test_wrong_inputs_fail_with_a_name_of_ours() -> None:
    session = OnnxSession(MODEL, sha256_of(MODEL), threads=1)
    with pytest.raises(ModelFailed):
        session.run({"context": np.zeros((1, 3), dtype=np.float32)})


def test_runs_at_the_same_time_are_told_in_their_order() -> None:
    session = OnnxSession(MODEL, sha256_of(MODEL), threads=1, at_once=2)
    together = Barrier(2, timeout=30.0)

    def squared(number: int) -> int:
        together.wait()  # breaks unless two are at work
        return number**2

    assert session.each(squared, range(6)) == [0, 1, 4, 9, 16, 25]


def test_a_run_that_fails_fails_all_of_them() -> None:
    session = OnnxSession(MODEL, sha256_of(MODEL), threads=1, at_once=2)

    with pytest.raises(ModelFailed):
        session.each(lambda number: session.run({}), range(3))
