"""Formats: a run as a folder of plain files. Nothing that is read here ever executes code."""

from __future__ import annotations
