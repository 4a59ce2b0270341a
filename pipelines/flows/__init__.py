"""The only part that imports Prefect: flows, tasks, artifacts, and a Prefect API for the time of one run."""
