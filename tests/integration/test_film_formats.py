"""Every codec and preset shows the same film: each picture at its time, in its colours, with title and chapters."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from pipelines.common.errors import FilmError
from pipelines.common.geometry import Fit
from pipelines.film.assembler import assemble_film
from pipelines.film.encoders import require_encoder
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Background, Motion, MotionType, Smooth, SmoothMethod
from pipelines.storyboard.presets import codec_names, encoding_of, presets
from pipelines.storyboard.timeline import Timeline, build_timeline
from tests.support.film_samples import (
    COLOURS,
    SMALL,
    Picture,
    ask_ffmpeg,
    fake_ffmpeg,
    flat_frames,
    pictures,
    timeline_of,
)

# The films of all codecs are each cut once for many tests.
pytestmark = pytest.mark.xdist_group("film_formats")

NAMES = ["red", "green", "blue", "white", "purple", "yellow", "gray"]
VIDEO = [codec for codec in codec_names() if encoding_of(codec).copies]
ANIMATIONS = [codec for codec in codec_names() if not encoding_of(codec).copies]
RATES = [Fraction(24), Fraction(24000, 1001), Fraction(60000, 1001), Fraction(30)]
HOLD = 26
# Returns the film of `language` in a codec; see the fixture `film_in`.
FilmIn = Callable[[str], Path]


def language(codec: str, fps: Fraction = Fraction(24)) -> Timeline:
    """Return seven holds with a bit of everything between and over them."""
    scenes = {"One": 2, "Two": 5}
    timeline = timeline_of([HOLD] * 7, fps=fps, codec=codec, crf=20, scenes=scenes, title="All of it")
    holds = list(timeline.holds)
    holds[0] = replace(holds[0], transition="dissolve", half=4)
    holds[1] = replace(holds[1], motion=Motion(MotionType.PUSH_IN, Fraction(1, 10)))
    holds[2] = replace(holds[2], transition="circleopen", half=3)
    holds[4] = replace(holds[4], smooth=Smooth(None, SmoothMethod.BLEND))
    holds[6] = replace(holds[6], caption="Six in the morning")
    return replace(timeline, holds=tuple(holds), digest="abc123")


def cut(tmp_path: Path, timeline: Timeline) -> Path:
    """Cut a film of flat frames."""
    target = tmp_path / f"film.{encoding_of(timeline.output.codec).extension}"
    frames = tmp_path / "frames"
    pictures_of = sorted(frames.iterdir()) if frames.exists() else flat_frames(frames, NAMES)
    return assemble_film(timeline, pictures_of, target).path


@pytest.fixture(scope="module")
def film_in(tmp_path_factory: pytest.TempPathFactory) -> FilmIn:
    """Return a function that cuts the film of `language` in a codec, once for all who ask for it."""
    return cache(lambda codec: cut(tmp_path_factory.mktemp(codec), language(codec)))


def require_the_film(shown: Sequence[Picture], *, tolerance: int) -> None:
    """Check every picture of `language`: a frame alone is flat in its colour, a mix lies between its two."""
    colours = [np.array(COLOURS[name]) for name in NAMES]
    # In-betweens lead from the middle of the fifth hold to the middle of the sixth.
    spans = [(HOLD - 4, HOLD + 4), (3 * HOLD - 3, 3 * HOLD + 3), (4 * HOLD + HOLD // 2, 5 * HOLD + HOLD // 2)]
    assert len(shown) == 7 * HOLD
    for number, picture in enumerate(shown):
        if number >= 6 * HOLD:
            # The caption is in the lower half.
            assert np.abs(picture[: SMALL.height // 2].astype(int) - colours[6]).max() <= tolerance, number
            continue
        span = next((span for span in spans if span[0] <= number < span[1]), None)
        if span is None:
            assert np.abs(picture.astype(int) - colours[number // HOLD]).max() <= tolerance, number
        else:
            before, after = colours[span[0] // HOLD], colours[span[1] // HOLD]
            low, high = np.minimum(before, after) - tolerance, np.maximum(before, after) + tolerance
            mean = picture.reshape(-1, 3).mean(axis=0)
            assert np.all((low <= mean) & (mean <= high)), number


@pytest.mark.parametrize("codec", VIDEO)
def test_every_picture_of_every_codec_is_right(film_in: FilmIn, codec: str) -> None:
    """No seam: nothing doubled, dropped, black or out of place at any join."""
    require_the_film(pictures(film_in(codec)), tolerance=12)


@pytest.mark.parametrize("codec", ANIMATIONS)
def test_every_picture_of_every_animation_is_right(film_in: FilmIn, codec: str) -> None:
    """Equal pictures are one there, shown for longer."""
    require_the_film(animation(film_in(codec), Fraction(24)), tolerance=16)


@pytest.mark.parametrize("codec", codec_names())
def test_an_unchanged_film_is_left_as_it_is(film_in: FilmIn, codec: str) -> None:
    """In every format it has the mark of all that went into it."""
    film = film_in(codec)
    before = film.stat().st_mtime_ns

    assert cut(film.parent, language(codec)) == film
    assert film.stat().st_mtime_ns == before


@pytest.mark.parametrize("fps", RATES, ids=str)
@pytest.mark.parametrize("codec", ["h264", "h265", "vp9"])
def test_pictures_stand_at_their_time(tmp_path: Path, codec: str, fps: Fraction) -> None:
    """To the tick of the container's clock, whatever the rate; each is decoded behind the one before, and in time."""
    rows = ask_ffmpeg(
        "-i", str(cut(tmp_path, language(codec, fps))), "-map", "0:v", "-c", "copy", "-f", "framecrc", "-"
    )

    lines = rows.decode().splitlines()
    tick = Fraction(next(line.split(":")[1] for line in lines if line.startswith("#tb")).strip())
    packets = [line.split(",") for line in lines if not line.startswith("#")]
    decoded, shown = ([int(packet[column]) * tick for packet in packets] for column in (1, 2))
    assert len(shown) == 7 * HOLD
    assert all(abs(time - number / fps) <= (tick if codec == "vp9" else 0) for number, time in enumerate(sorted(shown)))
    assert all(before < after for before, after in pairwise(decoded))
    assert all(early <= late for early, late in zip(decoded, shown, strict=True))
    # Only with pictures that are predicted from later ones do the two differ.
    assert (shown == sorted(shown)) == (codec == "vp9")


@pytest.mark.parametrize("fps", RATES, ids=str)
@pytest.mark.parametrize("codec", VIDEO)
def test_a_move_never_steps_back_nor_stands(tmp_path: Path, codec: str, fps: Fraction) -> None:
    """In pieces of any length: two pictures, many with cuts between them, more than from one keyframe to the next."""
    lengths = [1, 2, 3, 5, 130, 30]
    # Fine enough for the slowest of the moves to show in every picture.
    timeline = timeline_of(lengths, fps=fps, codec=codec, crf=4)
    holds = [replace(hold, motion=Motion(MotionType.PAN_RIGHT, Fraction(1))) for hold in timeline.holds]
    holds[4] = replace(holds[4], transition="dissolve", half=1)
    slope = tmp_path / "slope.png"
    Image.linear_gradient("L").rotate(90).resize((2 * SMALL.width, 2 * SMALL.height)).save(slope)
    target = tmp_path / f"film.{encoding_of(codec).extension}"

    assemble_film(replace(timeline, holds=tuple(holds)), [slope] * len(lengths), target)

    levels = [float(picture.mean()) for picture in pictures(target)]
    assert len(levels) == sum(lengths)
    # At cuts, and in the two pictures of the dissolve and behind it.
    falls = [number for number, (before, level) in enumerate(pairwise(levels), 1) if level <= before]
    assert falls == [1, 3, 6, 11, 140, 141, 142]


@pytest.mark.parametrize("codec", VIDEO)
def test_title_chapters_captions_and_colours_belong_to_it(film_in: FilmIn, codec: str) -> None:
    """Each in the way of its container."""
    description = described(film_in(codec))

    assert "All of it" in description
    assert description.count("Chapter #") == 2
    assert f"Subtitle: {encoding_of(codec).subtitles}" in description
    assert "storyboard sha256:abc123" in description
    assert "bt709" in description
    if codec == "h265":
        assert "hvc1" in description


def test_the_social_presets_set_what_is_not_set(tmp_path: Path) -> None:
    """Size, rate and codec; values set beside the preset win, and each film has a name."""
    board = tmp_path / "board.yaml"
    board.write_text(
        "output: [{preset: youtube}, {preset: reel, fps: 25}, {preset: square, name: feed}]\nprompts: [x]\n"
    )

    outputs = load_storyboard(board).outputs

    assert [(str(output.size), int(output.fps), output.codec, output.name) for output in outputs] == [
        ("1920x1080", 30, "h264", ""),
        ("1080x1920", 25, "h264", "reel"),
        ("1080x1080", 30, "h264", "feed"),
    ]
    assert (outputs[1].fit, outputs[1].background) == (Fit.CONTAIN, Background.BLUR)


def test_every_preset_makes_a_timeline(tmp_path: Path) -> None:
    """As a preset, and the codecs among them as a codec."""
    board = tmp_path / "board.yaml"
    for name, preset in presets().items():
        for key in ("preset", "codec") if preset.encoding else ("preset",):
            board.write_text(f"output: {{{key}: {name}}}\nprompts: [x]\n")
            timeline = build_timeline(load_storyboard(board))
            assert timeline.output.codec == (name if preset.encoding else preset.codec)
            assert timeline.output.fps == (preset.fps or 24)


@pytest.mark.parametrize("background", list(Background))
def test_contain_leaves_black_or_a_blurred_copy(tmp_path: Path, background: Background) -> None:
    """The blurred copy is of the picture's colours, and is not sharp."""
    frame = tmp_path / "frame.png"
    stripes = Image.new("RGB", (192, 48), COLOURS["red"])
    for left in range(0, 192, 8):
        stripes.paste(COLOURS["yellow"], (left, 0, left + 4, 48))
    stripes.save(frame)
    timeline = timeline_of([2], fit=Fit.CONTAIN)
    output = replace(timeline.output, background=background)

    shown = pictures(assemble_film(replace(timeline, output=output), [frame], tmp_path / "film.mp4").path)[0]

    border = shown[:12].astype(int)
    if background is Background.BLACK:
        assert border.max() < 20
    else:
        assert border.mean(axis=(0, 1)) == pytest.approx((225, 125, 30), abs=15)
        assert border[:, 8:-8].std(axis=1).max() < shown[20:28, 8:-8].astype(int).std(axis=1).max() / 2


@pytest.mark.parametrize(("codec", "encoder"), [("av1", "libsvtav1"), ("webp", "libwebp_anim"), ("gif", "gif")])
def test_an_encoder_that_ffmpeg_lacks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, encoder: str
) -> None:
    """Before anything is generated."""
    fake_ffmpeg(tmp_path / "ffmpeg", monkeypatch)
    script = (
        (tmp_path / "ffmpeg")
        .read_text()
        .replace('exec "$REAL" "$@" ;; esac', f'"$REAL" "$@" | grep -vw {encoder}; exit ;; esac', 1)
    )
    (tmp_path / "ffmpeg").write_text(script)

    with pytest.raises(FilmError, match=f"this ffmpeg has no {encoder} to encode {codec} with"):
        require_encoder(codec)


def animation(path: Path, fps: Fraction) -> list[Picture]:
    """Return the picture of an animation in the middle of each video frame."""
    shown: list[Picture] = []
    elapsed_ms = 0
    with Image.open(path) as film:
        for picture in ImageSequence.Iterator(film):
            colours = np.asarray(picture.convert("RGB"))
            elapsed_ms += int(picture.info["duration"])
            while (len(shown) + Fraction(1, 2)) * 1000 / fps < elapsed_ms:
                shown.append(colours)
    assert shown[0].shape[:2] == (SMALL.height, SMALL.width)
    return shown


def described(film: Path) -> str:
    """Return ffmpeg's description of a film."""
    said = ask_ffmpeg("-loglevel", "info", "-i", str(film), "-c", "copy", "-f", "null", "-", stream="stderr")
    return said.decode().split("Output #0")[0]
