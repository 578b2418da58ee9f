"""Rows for each sentence of SPEC.md that excludes something."""
