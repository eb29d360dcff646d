"""What holds for every test."""

from __future__ import annotations

import os
import signal
import tempfile

# One thread of the linear algebra library for each test process: several processes on few cores would otherwise wait
# for each other's threads, and small products become ten times slower. It must be said before NumPy is imported.
for _library in ("OPENBLAS", "OMP", "MKL", "VECLIB_MAXIMUM"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

# Compiled programs of the tests, shared by their processes, and none of the user's own.
os.environ.setdefault("CHAINRULE_CACHE", os.path.join(tempfile.gettempdir(), f"chainrule-tests-{os.getuid()}"))

# A shell has what it starts in the background ignore Ctrl-C, and that is handed on to all that the tests start: those
# that press it would wait for ever.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
