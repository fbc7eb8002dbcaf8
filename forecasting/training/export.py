"""A trained network → ONNX file and model card, checked against each other."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from forecasting.features import ANCHORS, CALENDAR, COARSE_BUCKETS, CONTEXT_STEPS, HORIZON_STEPS, STATIC
from forecasting.forecast import LEVELS
from forecasting.onnx_session import OnnxSession, sha256_of
from forecasting.training.network import INPUT_NAMES, TOKENS, ForecastNetwork, parameters

MODEL_FILE, CARD_FILE = "model.onnx", "card.json"
OUTPUT_NAMES = ("quantiles", "copula")
#: Largest difference between torch and ONNX, in scaled space.
TOLERANCE = 1e-4


class ExportDiffers(Exception):
    """The exported graph does not compute what the network does."""


def export(network: ForecastNetwork, folder: Path, about: Mapping[str, Any]) -> Path:
    """Writes `model.onnx` and `card.json` into `folder` and returns the card's path. Raises `ExportDiffers`."""
    folder.mkdir(parents=True, exist_ok=True)
    network = network.eval()
    example = example_inputs(2, np.random.default_rng(0))
    rows = torch.export.Dim("rows", min=1, max=65536)
    model = folder / MODEL_FILE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter speaks of optional packages and of axes that share a name
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            network,
            tuple(torch.from_numpy(example[name]) for name in INPUT_NAMES),
            str(model),
            input_names=list(INPUT_NAMES),
            output_names=list(OUTPUT_NAMES),
            dynamic_shapes=tuple({0: rows} for _ in INPUT_NAMES),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    _without_traces(model)
    difference = parity(network, model)
    if difference > TOLERANCE:
        raise ExportDiffers(f"{model}: differs from the network by {difference:.2g} in scaled space")
    card = {
        **about,
        "levels": list(LEVELS),
        "anchors": list(ANCHORS),
        "horizon_steps": HORIZON_STEPS,
        "context_steps": CONTEXT_STEPS,
        "coarse_buckets": COARSE_BUCKETS,
        "parameters": parameters(network),
        "config": network.config.as_json(),
        "parity": difference,
        "file": MODEL_FILE,
        "bytes": model.stat().st_size,
        "sha256": sha256_of(model),
    }
    path = folder / CARD_FILE
    path.write_text(json.dumps(card, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def parity(network: ForecastNetwork, model: Path) -> float:
    """Largest difference between the network's outputs and the file's, over rows of random inputs."""
    inputs = example_inputs(7, np.random.default_rng(1))
    served = OnnxSession(model, sha256_of(model), threads=1).run(inputs)
    with torch.no_grad():
        own = network(*(torch.from_numpy(inputs[name]) for name in INPUT_NAMES))
    return max(float(np.abs(ours.numpy() - theirs).max()) for ours, theirs in zip(own, served, strict=True))


def _without_traces(model: Path) -> None:
    """Drops what the exporter notes of the code and the machine: nobody runs it, and it holds paths."""
    graph = onnx.load(model)
    for node in graph.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for part in (*graph.graph.value_info, *graph.graph.input, *graph.graph.output, *graph.graph.initializer):
        del part.metadata_props[:]
    del graph.graph.metadata_props[:]
    del graph.metadata_props[:]
    onnx.save(graph, model)


def example_inputs(rows: int, rng: np.random.Generator) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """Random inputs of the shapes that the graph takes."""
    shapes = {
        "context": (rows, CONTEXT_STEPS, 4),
        "coarse": (rows, COARSE_BUCKETS, 3),
        "anchors": (rows, HORIZON_STEPS, len(ANCHORS)),
        "anchor_known": (rows, HORIZON_STEPS, len(ANCHORS)),
        "events": (rows, HORIZON_STEPS),
        "calendar": (rows, TOKENS, CALENDAR),
        "static": (rows, STATIC),
    }
    inputs = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    inputs["anchor_known"] = (inputs["anchor_known"] > 0.0).astype(np.float32)
    inputs["anchor_known"][:, :, 0] = 1.0
    return inputs
