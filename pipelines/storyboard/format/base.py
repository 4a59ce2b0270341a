"""Common ground of the format's models: paths in the data, the base class, and errors at a key."""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

# The keys and list positions that lead from the root of a storyboard's data to a value in it.
YamlPath = tuple[str | int, ...]
# Marks the types of texts in which anything may stand, and so also what YAML cuts off unseen.
FREE_TEXT = "free text"
# The type of the errors that `require` raises, told apart from pydantic's own.
LOCATED_ERROR = "storyboard"


class FormatModel(BaseModel):
    """A mapping in the storyboard: unknown keys are errors, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def require(condition: bool, key: str, message: str) -> None:
    """Require `condition` of the model that is being checked.

    Args:
        condition: what must be true.
        key: the key of the model that is wrong otherwise; empty for the model as a whole.
        message: what is wrong and the cure, for the user.

    Raises:
        PydanticCustomError: it is not; pydantic collects it with all other errors.
    """
    if not condition:
        raise PydanticCustomError(LOCATED_ERROR, "{message}", {"message": message, "key": key})


def has_step(data: Any, step: str | int) -> bool:
    """Return whether `step` leads from `data` to a value: a key of a mapping, or a position in a list."""
    if isinstance(data, list):
        return isinstance(step, int) and step < len(data)
    return isinstance(data, dict) and step in data
