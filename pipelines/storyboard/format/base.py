"""What every noun of the storyboard has in common."""

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

# Where something stands in the storyboard's data: keys and positions from its root.
YamlPath = tuple[str | int, ...]


class FormatModel(BaseModel):
    """A mapping in the storyboard: unknown keys are errors, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def require(condition: bool, key: str, message: str) -> None:
    """Raise an error at `key` of the noun that is being checked, or at the noun itself."""
    if not condition:
        raise PydanticCustomError("storyboard", "{message}", {"message": message, "key": key})
