"""The YAML's own form: its keys and values as pydantic models, and the place of each in the file."""
