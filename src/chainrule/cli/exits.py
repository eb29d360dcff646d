"""What the exit codes of the command mean."""

from __future__ import annotations

#: A mistake in what was asked; a fault of chainrule's own; Ctrl-C; a polite request to end (SIGTERM).
MISTAKE, BUG, INTERRUPTED, TERMINATED = 2, 1, 130, 143
