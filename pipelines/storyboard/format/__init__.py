"""The YAML's own form: its keys and values as pydantic models, and where each stands in the file."""
