"""Engines: ways to run a graph. Each hangs off the graph alone and arrives as an argument."""

from __future__ import annotations
