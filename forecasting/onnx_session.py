"""The only door to onnxruntime: a checked model file in, arrays in and out, from any thread."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray

T = TypeVar("T")
R = TypeVar("R")

#: Larger files are refused: no model of ours comes near.
LARGEST_FILE_BYTES = 512 * 1024 * 1024
#: How files begin that could run code when they are read: pickles, and zip archives as torch saves them.
PICKLES = (b"\x80", b"PK\x03\x04")
_ERRORS_ONLY = 3


class ModelRefused(Exception):
    """A model file is missing, not what its card says, or nothing that may be loaded; the message names the fix."""


class ModelFailed(Exception):
    """A model that was loaded did not give a usable answer."""


class OnnxSession:
    """A network ready to run. Safe to share between threads.

    `threads` is how many cores one run may use, `at_once` how many runs `each` does at the same time.

    Raises `ModelRefused` if the file does not have the given `sha256`, is a pickle, or is no ONNX model.
    """

    def __init__(self, path: Path, sha256: str, *, threads: int = 2, at_once: int = 1) -> None:
        data = _checked(path, sha256)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        # Threads that spin while they wait would take the core from the controller beside us.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise ModelRefused(f"{path}: no ONNX model that this version can run: {error}") from error
        self._at_once = at_once
        self.input_names: tuple[str, ...] = tuple(node.name for node in self._session.get_inputs())

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[np.float32]]:
        """All outputs for `inputs` by name. Raises `ModelFailed`."""
        try:
            outputs: Sequence[NDArray[np.float32]] = self._session.run(None, dict(inputs))
        except Exception as error:
            raise ModelFailed(str(error)) from error
        return outputs

    def each(self, act: Callable[[T], R], things: Iterable[T]) -> list[R]:
        """What `act`, which runs the network, makes of each of them, in their order. The first exception is raised."""
        waiting = list(things)
        if len(waiting) < 2 or self._at_once < 2:
            return [act(thing) for thing in waiting]
        with ThreadPoolExecutor(self._at_once, thread_name_prefix="onnx") as pool:
            return list(pool.map(act, waiting))


def sha256_of(path: Path) -> str:
    """Checksum of a file, as model cards hold it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _checked(path: Path, sha256: str) -> bytes:
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE_BYTES:
            raise ModelRefused(f"{path}: {size} bytes are more than a model may have ({LARGEST_FILE_BYTES})")
        data = path.read_bytes()
    except OSError as error:
        raise ModelRefused(f"{path}: cannot be read: {error.strerror}") from error
    if data.startswith(PICKLES):
        raise ModelRefused(f"{path}: pickles and archives are never loaded, they can run code: export to ONNX")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelRefused(f"{path}: checksum {found[:12]}… is not the card's {sha256[:12]}…: restore the file")
    return data
