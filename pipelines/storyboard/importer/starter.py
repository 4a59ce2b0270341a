"""The commented starter storyboard that `storyreel new` writes."""

from importlib.resources import files


def starter_text() -> str:
    """Return the starter storyboard as YAML text."""
    return files("pipelines.storyboard.importer").joinpath("starter.yaml").read_text(encoding="utf-8")
