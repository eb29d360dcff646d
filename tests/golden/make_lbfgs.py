"""Make ``lbfgs.npz``: the way that SciPy's L-BFGS-B goes down, in float64.

    python tests/golden/make_lbfgs.py

writes it beside this script (SciPy 1.17). The ground is Σᵢ log(1 + exp(-tᵢ·xᵢ·θ)) / 40 + ½·0.01·‖θ‖² from θ = 0,
where its line search takes the first length each time, so that another line search goes the same way: "x" (40, 6),
"t" (40), "places" (steps + 1, 6) the points it came to, "values" the function there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import minimize  # type: ignore[import-untyped]

MEMORY, STEPS = 5, 8


def main() -> None:
    """Write the arrays."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(40, 6)) * [1.0, 2.0, 0.5, 1.0, 3.0, 0.3]
    t = np.where(x @ draw.normal(size=6) + draw.normal(size=40) > 0, 1.0, -1.0)

    def value(theta: np.ndarray) -> tuple[float, np.ndarray]:
        margin = t * (x @ theta)
        slope = -(x * t[:, None]).T @ (1 / (1 + np.exp(margin))) / 40 + 0.01 * theta
        return float(np.mean(np.log1p(np.exp(-margin))) + 0.005 * theta @ theta), slope

    places = [np.zeros(6)]
    evaluations = 0

    def counted(theta: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal evaluations
        evaluations += 1
        return value(theta)

    minimize(
        counted, places[0], jac=True, method="L-BFGS-B", callback=lambda theta: places.append(theta.copy()),
        options={"maxcor": MEMORY, "maxiter": STEPS, "ftol": 0.0, "gtol": 0.0},
    )  # fmt: skip
    if evaluations != len(places):
        raise SystemExit(f"{evaluations} evaluations for {len(places) - 1} steps: lengths were searched for")
    np.savez(
        Path(__file__).parent / "lbfgs.npz",
        x=x, t=t, places=np.array(places), values=np.array([value(place)[0] for place in places]),
    )  # fmt: skip


if __name__ == "__main__":
    main()
