"""The film's title and chapters as an ffmetadata file (ffmpeg-formats, "Metadata")."""

import re
from collections.abc import Iterator
from fractions import Fraction

from pipelines.storyboard.timeline import Chapter, Timeline


def film_metadata(timeline: Timeline, *, comment: str = "") -> str:
    """Return the ffmetadata text of a film: its title, its storyboard's digest, a comment, and chapters."""
    lines = [";FFMETADATA1", f"title={_escaped(timeline.title)}", f"comment={_escaped(comment)}"]
    if timeline.digest:
        lines.append(f"description=storyboard sha256:{timeline.digest}")
    for chapter in timeline.chapters:
        lines += _chapter_lines(chapter, timeline.output.fps)
    return "\n".join([*lines, ""])


def _chapter_lines(chapter: Chapter, fps: Fraction) -> Iterator[str]:
    # Counted in video frames, so that no rounding moves a chapter off its cut.
    yield "[CHAPTER]"
    yield f"TIMEBASE={fps.denominator}/{fps.numerator}"
    yield f"START={chapter.start}"
    yield f"END={chapter.end}"
    yield f"title={_escaped(chapter.title)}"


def _escaped(text: str) -> str:
    return re.sub(r"([=;#\\\n])", r"\\\1", text)
