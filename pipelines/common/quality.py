"""The quality of a film, which a storyboard names, and an option."""

from enum import StrEnum


class Quality(StrEnum):
    """The quality of a film; the word in a storyboard."""

    # There soon, to look at while one works on it.
    DRAFT = "draft"
    FINAL = "final"
