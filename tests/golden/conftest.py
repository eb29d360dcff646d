from __future__ import annotations

#: The script that made the arrays wants the framework that it made them with.
collect_ignore = [
    "make_golden.py",
    "make_schedules.py",
    "make_curves.py",
    "make_lbfgs.py",
    "make_layers.py",
    "make_sequences.py",
]
