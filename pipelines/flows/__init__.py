"""Prefect, and only here: the flows, their tasks, their artifacts, and an API of our own for a run."""
