"""Training checkpoints: everything that a run needs to go on, written so that a cut never leaves half a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InfiniError
from ..files import atomic_writer


def save_checkpoint(
    path: Path, step: int, parameters: dict[str, nn.Parameter], optimiser: torch.optim.Optimizer, identity: str
) -> None:
    """Writes a checkpoint, whole or not at all.

    Args:
        path: where to.
        step: steps done.
        parameters: trained parameters by name.
        optimiser: its state goes along.
        identity: tells runs apart; a checkpoint goes on only in a run of the same identity.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "step": step,
        "identity": identity,
        "parameters": {name: parameter.detach().cpu() for name, parameter in parameters.items()},
        "optimiser": optimiser.state_dict(),
    }
    with atomic_writer(path, binary=True) as file:
        torch.save(content, file)


def load_checkpoint(
    path: Path, parameters: dict[str, nn.Parameter], optimiser: torch.optim.Optimizer, identity: str
) -> int:
    """Restores parameters and optimiser, and tells how many steps are done.

    Raises:
        InfiniError: the checkpoint is of another run.
    """
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if content["identity"] != identity:
        raise InfiniError(
            f"{path} is a checkpoint of another run: its base, configuration or plan differ",
            "choose another output folder, or repeat the settings of that run",
        )
    saved: dict[str, Tensor] = content["parameters"]
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(saved[name])
    optimiser.load_state_dict(content["optimiser"])
    return int(content["step"])
