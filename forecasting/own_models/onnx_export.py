"""Trained darts networks → ONNX graphs with the inputs and outputs that the runner knows.

darts' own export fixes the batch to one and carries its data handling along. These graphs are bare networks for any
number of rows. Inputs `target`, `past`, `future` → `quantiles` (TiDE); `target`, `covariates`, `state` → `quantiles`
of the next step, `next_state` (recurrent), for any number of steps at once, so that one graph reads the past and walks
into the future.
"""

from __future__ import annotations

from pathlib import Path

import torch
from darts.utils.data.torch_datasets.utils import PLModuleInput
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from forecasting.own_models.card import ModelKind
from forecasting.own_models.darts_models import quiet
from forecasting.own_models.windows import COVARIATES


class TideGraph(nn.Module):
    """Scaled past and covariates → scaled quantiles, `(rows, steps ahead, levels)`."""

    def __init__(self, network: LightningModule) -> None:
        super().__init__()
        self.network = network

    def forward(self, target: Tensor, past: Tensor, future: Tensor) -> Tensor:
        given = PLModuleInput(past_target=target, historic_future_covariates=past, future_covariates=future)
        quantiles: Tensor = self.network(given).prediction[:, :, 0]
        return quantiles


class RecurrentGraph(nn.Module):
    """Values and what is known of the step after each of them → quantiles after the last one, `(rows, levels)`."""

    def __init__(self, network: LightningModule) -> None:
        super().__init__()
        self.cells, self.head = recurrent_cells(network), recurrent_head(network)

    def forward(self, target: Tensor, covariates: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        walked, next_state = self.cells(torch.cat([target, covariates], dim=2), state)
        quantiles: Tensor = self.head(walked[:, -1])
        return quantiles, next_state


def export(kind: ModelKind, network: LightningModule, input_steps: int, output_steps: int, path: Path) -> None:
    """Writes the graph of a trained network; any number of rows, and of steps for a recurrent one."""
    network = network.to("cpu", torch.float32).eval()
    rows, width = torch.export.Dim("rows"), len(COVARIATES)
    with quiet(), torch.no_grad():
        if kind is ModelKind.TIDE:
            program = torch.onnx.export(
                TideGraph(network).eval(),
                (
                    torch.zeros(4, input_steps, 1),
                    torch.zeros(4, input_steps, width),
                    torch.zeros(4, output_steps, width),
                ),
                input_names=["target", "past", "future"],
                output_names=["quantiles"],
                dynamic_shapes=({0: rows}, {0: rows}, {0: rows}),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        else:
            steps = torch.export.Dim("steps", min=1, max=65536)
            layers, state_width = state_shape(network)
            program = torch.onnx.export(
                RecurrentGraph(network).eval(),
                (torch.zeros(4, 9, 1), torch.zeros(4, 9, width), torch.zeros(layers, 4, state_width)),
                input_names=["target", "covariates", "state"],
                output_names=["quantiles", "next_state"],
                dynamic_shapes=({0: rows, 1: steps}, {0: rows, 1: steps}, {1: rows}),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    assert program is not None
    program.save(str(path))


def state_shape(network: LightningModule) -> tuple[int, int]:
    """Layers and width of a recurrent network's state."""
    cells = recurrent_cells(network)
    return cells.num_layers, cells.hidden_size


def recurrent_cells(network: LightningModule) -> nn.RNNBase:
    """The layers of a darts RNN that carry state from step to step."""
    cells = network.rnn
    assert isinstance(cells, nn.RNNBase)
    return cells


def recurrent_head(network: LightningModule) -> nn.Linear:
    """What makes quantiles of a darts RNN's last layer."""
    head = network.V
    assert isinstance(head, nn.Linear)
    return head
