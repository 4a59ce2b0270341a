"""Letters that no font of the program or of this machine can draw."""

from collections.abc import Iterable

from pipelines.common.lettering.segmentation import script_name, split_letters
from pipelines.common.lettering.typefaces import FontStack
from pipelines.common.lettering.wrapping import paragraphs

_MAX_LISTED = 10


def find_undrawable(text: str, stack: FontStack) -> list[str]:
    """Return the letters of a text that no font here can draw, each once."""
    # The first font has all of these.
    if text.isascii():
        return []
    letters = dict.fromkeys(letter for part in paragraphs(text) for letter in split_letters(part))
    fonts = stack.for_text(text)
    return [letter for letter in letters if fonts.face_for(letter) is None]


def undrawable_message(letters: Iterable[str]) -> str:
    """Return what a user should know of letters that cannot be drawn; empty for none."""
    distinct = list(dict.fromkeys(letters))
    if not distinct:
        return ""
    scripts = ", ".join(dict.fromkeys(map(script_name, distinct)))
    listed = " ".join(distinct[:_MAX_LISTED]) + (" ..." if len(distinct) > _MAX_LISTED else "")
    return (
        f"no font here can draw {listed} ({scripts}), and codes are shown instead; install a font that can, for "
        "instance one of Debian's fonts-noto-core"
    )
