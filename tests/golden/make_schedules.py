"""Make schedules.npz: the learning rates that another framework's schedules give at steps 0 … 999, in float64.

    python -m venv golden && golden/bin/pip install torch==2.13.0 numpy
    golden/bin/python tests/golden/make_schedules.py

The tests read the file and never need that framework; what each name means is written in the table below.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.optim import lr_scheduler as schedules

STEPS = 1000
Made = Callable[[torch.optim.Optimizer], schedules.LRScheduler]

MADE: dict[str, Made] = {
    "constant": lambda o: schedules.ConstantLR(o, factor=1.0),
    "step": lambda o: schedules.StepLR(o, step_size=150, gamma=0.3),
    "exponential": lambda o: schedules.ExponentialLR(o, gamma=0.995),
    "inverse_time": lambda o: schedules.LambdaLR(o, lambda step: 1 / (1 + 0.01 * step)),
    "linear": lambda o: schedules.LinearLR(o, start_factor=1.0, end_factor=0.1, total_iters=800),
    "polynomial": lambda o: schedules.PolynomialLR(o, total_iters=800, power=2.5),
    # It rises again after T_max, where ours stays: one second of steps is never met.
    "cosine": lambda o: schedules.CosineAnnealingLR(o, T_max=999, eta_min=0.01),
    "warm_restarts": lambda o: schedules.CosineAnnealingWarmRestarts(o, T_0=70, T_mult=2, eta_min=0.001),
    "equal_restarts": lambda o: schedules.CosineAnnealingWarmRestarts(o, T_0=70),
    "one_cycle": lambda o: schedules.OneCycleLR(o, max_lr=0.5, total_steps=1001, pct_start=0.3),
    "warmup": lambda o: schedules.LinearLR(o, start_factor=1 / 50, total_iters=49),
    "warmed_step": lambda o: schedules.ChainedScheduler(
        [schedules.LinearLR(o, start_factor=1 / 50, total_iters=49), schedules.StepLR(o, step_size=300, gamma=0.1)]
    ),
    "piecewise": lambda o: schedules.MultiStepLR(o, milestones=[200, 650], gamma=0.1),
    "joined": lambda o: schedules.SequentialLR(
        o,
        [schedules.ConstantLR(o, factor=0.5, total_iters=10**9), schedules.ExponentialLR(o, gamma=0.99)],
        milestones=[300],
    ),
}


def rates(made: Made) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The learning rate of each step, beginning at 0.2."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2)
    schedule = made(optimizer)
    found = []
    for _ in range(STEPS):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return np.array(found)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    arrays = {name: rates(made) for name, made in MADE.items()}
    np.savez_compressed(Path(__file__).parent / "schedules.npz", **arrays)  # type: ignore[arg-type]
