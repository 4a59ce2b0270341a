"""Sound files as they are: what decodes is heard, what is missing is told, and only a tenth or more is refused."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from pipelines.common.errors import FilmError, Note, StoryboardError
from pipelines.common.settings import Settings
from pipelines.film.sound_checks import require_sounds
from pipelines.film.sound_files import MeasuredSound, measure_sound
from pipelines.run.checking import check_storyboard
from pipelines.storyboard.loader import load_storyboard
from pipelines.storyboard.model import Sound
from tests.support import sound_samples
from tests.support.film_samples import ask_ffmpeg
from tests.support.sound_damage import (
    EARLY_HZ,
    KINDS,
    LATE_HZ,
    PIECE_S,
    Damage,
    cut,
    damage,
    early_and_late,
    id3v2,
    sound_file,
    tags_at_the_end,
    without_page,
    zeros,
)
from tests.support.sound_samples import NOWHERE, RATE_HZ, FilmWithSounds, Samples, heard, span_s, tone, write_wav

pytestmark = pytest.mark.xdist_group("film_damaged_sounds")

SECONDS = 12


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for what all films share: it is their sounds that differ, not their pictures."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def film_with(tmp_path: Path, kept: Path) -> FilmWithSounds:
    """Return a function that assembles a film with sounds."""
    return partial(sound_samples.film_with, tmp_path, kept=kept, lengths=[24 * 8, 24 * 8])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    """Return a function that encodes a low and a high tone as a kind of file, each once."""
    folder = tmp_path_factory.mktemp("whole")

    def content(kind: str) -> bytes:
        file = folder / kind
        return (file if file.exists() else sound_file(folder, kind, early_and_late(SECONDS))).read_bytes()

    return content


@pytest.fixture
def damaged(tmp_path: Path, whole: Callable[[str], bytes]) -> Callable[[str, Damage], Path]:
    """Return a function that writes a kind of file with some damage."""

    def write(kind: str, change: Damage) -> Path:
        file = tmp_path / kind
        file.write_bytes(change(whole(kind)))
        return file

    return write


def measured(file: Path) -> MeasuredSound:
    return asyncio.run(measure_sound(file))


def checked(file: Path) -> list[Note]:
    """Check a storyboard of which this is the track."""
    board = file.with_name("board.yaml")
    board.write_text(f"audio: {{track: {file.name}}}\nprompts: [x]\n")
    return asyncio.run(require_sounds(load_storyboard(board)))


def pitch_hz(samples: Samples) -> float:
    """Return the frequency of a tone."""
    return float(np.abs(np.fft.rfft(samples[:, 0])).argmax() * RATE_HZ / len(samples))


def require_heard(film: Path, length_s: float) -> None:
    """Require that a film has the sound from its beginning to its end, which is `length_s` after it."""
    samples = heard(film)
    assert span_s(samples) == pytest.approx((0, length_s), abs=PIECE_S)
    end = round(length_s * RATE_HZ)
    assert pitch_hz(samples[: 2 * RATE_HZ]) == pytest.approx(EARLY_HZ, abs=2)
    assert pitch_hz(samples[end - 2 * RATE_HZ : end]) == pytest.approx(LATE_HZ, abs=2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_has_no_note(damaged: Callable[[str, Damage], Path], kind: str) -> None:
    """Of any kind; it is as long as what was encoded."""
    file = damaged(kind, bytes)

    assert checked(file) == []
    assert float(measured(file).length_s) == pytest.approx(SECONDS, abs=PIECE_S)


HOLED = ["a.mp3", "vbr.mp3", "headerless.mp3", "a.flac", "vorbis.ogg", "opus.opus", "a.m4a", "alac.m4a", "a.aac"]


@pytest.mark.parametrize("kind", HOLED)
def test_what_cannot_be_decoded_is_skipped_and_told(
    film_with: FilmWithSounds, damaged: Callable[[str, Damage], Path], kind: str
) -> None:
    """Nothing after it is lost, and the film has what was measured, to the end."""
    file = damaged(kind, zeros(0.04))

    (note,) = checked(file)
    sound = measured(file)

    assert re.search(r": 0\.\d+ s of it are damaged or missing and are skipped, at 0:0[45]", str(note)), note
    assert (note.line, note.column, note.where) == (1, 16, "audio.track")
    assert float(sound.length_s + sound.loss.length_s) == pytest.approx(SECONDS, abs=2 * PIECE_S)
    require_heard(film_with(Sound(file, NOWHERE)), float(sound.length_s))


@pytest.mark.parametrize("kind", HOLED)
def test_a_sound_of_which_much_is_missing_is_refused(damaged: Callable[[str, Damage], Path], kind: str) -> None:
    """In the middle of it, whether or not the file says how long it should be."""
    file = damaged(kind, zeros(0.3))

    with pytest.raises(StoryboardError) as caught:
        checked(file)

    (problem,) = caught.value.problems
    assert re.fullmatch(
        rf".*board\.yaml:1:16: audio\.track: {file}: [3-5]\.\d s of its 1[12]\.\d s are damaged or missing, at .*"
        "; use a whole copy of it, or save what is left as a new file",
        str(problem),
    ), problem


def test_a_page_that_is_missing_is_told(damaged: Callable[[str, Damage], Path]) -> None:
    """In an OGG all else is whole then, and ffmpeg has no complaint."""
    notes = [checked(damaged(kind, without_page)) for kind in ("vorbis.ogg", "opus.opus", "flac.ogg")]

    assert [len(found) for found in notes] == [1, 1, 1]
    assert all(" s of it are damaged or missing and are skipped, at 0:0" in str(note) for (note,) in notes)


# Their headers, at the beginning, say how long they are.
STATED = ["a.wav", "a.mp3", "vbr.mp3", "a.flac", "a.m4a", "alac.m4a", "a.aiff", "a.mka", "a.webm", "a.wv"]


@pytest.mark.parametrize("kind", STATED)
def test_a_file_that_is_cut_short_is_told(damaged: Callable[[str, Damage], Path], kind: str) -> None:
    """Up to a tenth; then it is refused."""
    (note,) = checked(damaged(kind, cut(0.06)))

    assert re.search(r": 0\.\d+ s of it are damaged or missing and are skipped, at 0:1[12]; use a whole", str(note)), (
        note
    )
    with pytest.raises(StoryboardError, match=r"[34]\.\d s of its 12\.\d s are damaged or missing, at 0:0[789]"):
        checked(damaged(kind, cut(0.3)))


@pytest.mark.parametrize("kind", ["headerless.mp3", "a.aac", "vorbis.ogg", "opus.opus"])
def test_what_states_no_length_is_as_long_as_it_is(damaged: Callable[[str, Damage], Path], kind: str) -> None:
    """Nothing says that it was cut."""
    file = damaged(kind, cut(0.3))

    assert checked(file) == []
    assert float(measured(file).length_s) == pytest.approx(SECONDS * 0.7, abs=0.5)


def with_wav_size(size: int) -> Damage:
    """State another size of the samples of a WAV, which are its last chunk."""

    def change(content: bytes) -> bytes:
        begin = content.index(b"data") + 4
        return content[:begin] + size.to_bytes(4, "little") + content[begin + 4 :]

    return change


@pytest.mark.parametrize("size", [0, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_a_wav_that_was_written_to_a_pipe_is_whole(damaged: Callable[[str, Damage], Path], size: int) -> None:
    """Its header states a size that stands for none."""
    file = damaged("a.wav", with_wav_size(size))

    assert checked(file) == []
    assert measured(file) == MeasuredSound(Fraction(SECONDS))


def test_what_follows_the_samples_of_a_wav_is_no_sound(damaged: Callable[[str, Damage], Path]) -> None:
    """A list of tags, with odd padding; nor is it missing."""
    file = damaged("a.wav", lambda content: content + b"LIST\x05\0\0\0INFO1\0")

    assert checked(file) == []
    assert measured(file) == MeasuredSound(Fraction(SECONDS))


@pytest.mark.parametrize("missing", [0, 1])
def test_a_tenth_is_too_much(tmp_path: Path, missing: int) -> None:
    """And a sample less is not."""
    file = write_wav(tmp_path / "a.wav", tone(10))
    # Two bytes a sample; the header has 44.
    damage(file, lambda content: content[: 44 + 2 * (9 * RATE_HZ + 1 - missing)])

    if missing:
        with pytest.raises(StoryboardError, match=r"1\.0 s of its 10\.0 s are damaged or missing"):
            checked(file)
    else:
        assert [note.message for note in checked(file)] == [
            f"{file}: 1.0 s of it are damaged or missing and are skipped, at 0:09; use a whole copy of it"
        ]


@pytest.mark.parametrize("kind", ["a.mp3", "vbr.mp3", "headerless.mp3", "a.aac"])
def test_tags_are_no_sound(
    film_with: FilmWithSounds, damaged: Callable[[str, Damage], Path], whole: Callable[[str], bytes], kind: str
) -> None:
    """However large they are, and wherever they stand: before it, after it, or between two that were joined."""
    tagged = id3v2(200_000) + whole(kind) + (b"" if kind == "a.aac" else tags_at_the_end(100_000))
    file = damaged(kind, lambda _: tagged + tagged)

    assert checked(file) == []
    length_s = float(measured(file).length_s)
    assert length_s == pytest.approx(2 * SECONDS, abs=2 * PIECE_S)
    require_heard(film_with(Sound(file, NOWHERE), lengths=[24 * 30]), length_s)


def joined(folder: Path, kind: str, *, rate_hz: int, channels: int) -> Path:
    """Join a file of 2 s with one of 3 s at a higher pitch."""
    first = sound_file(folder, kind, tone(2, hz=EARLY_HZ)).read_bytes()
    sides = np.column_stack([tone(3, hz=LATE_HZ, rate_hz=rate_hz)] * channels)
    return damage(sound_file(folder, kind, sides, rate_hz=rate_hz), lambda second: first + second)


@pytest.mark.parametrize(
    ("kind", "rate_hz", "channels"),
    [
        ("a.mp3", 24_000, 2),
        ("headerless.mp3", 48_000, 1),
        ("a.aac", 24_000, 2),
        ("a.flac", 48_000, 1),
        ("vorbis.ogg", 48_000, 1),
        ("opus.opus", 48_000, 1),
    ],
)
def test_of_files_that_were_joined_all_is_heard(
    tmp_path: Path, film_with: FilmWithSounds, kind: str, rate_hz: int, channels: int
) -> None:
    """Also at another rate and with other channels: each at its pitch, after an offset that is skipped once."""
    file = joined(tmp_path, kind, rate_hz=rate_hz, channels=channels)

    assert checked(file) == []
    length_s = float(measured(file).length_s)
    assert length_s == pytest.approx(5, abs=2 * PIECE_S)
    samples = heard(film_with(Sound(file, NOWHERE, offset_s=Fraction(1))))
    assert span_s(samples) == pytest.approx((0, length_s - 1), abs=PIECE_S)
    assert pitch_hz(samples[: RATE_HZ // 2]) == pytest.approx(EARLY_HZ, abs=3)
    assert pitch_hz(samples[2 * RATE_HZ : 3 * RATE_HZ]) == pytest.approx(LATE_HZ, abs=3)


@pytest.mark.parametrize("kind", ["vorbis.ogg", "opus.opus"])
def test_what_ffmpeg_does_not_read_on_is_missing(tmp_path: Path, kind: str) -> None:
    """An OGG whose second part has other channels; what states its length speaks of the second part alone."""
    file = joined(tmp_path, kind, rate_hz=48_000, channels=2)

    with pytest.raises(StoryboardError, match=r": \d+\.\d s of its \d+\.\d s are damaged or missing, at 0:02; use"):
        checked(file)


@pytest.mark.parametrize("factor", [0.25, 4])
def test_an_mp3_whose_header_miscounts_is_whole(damaged: Callable[[str, Damage], Path], factor: float) -> None:
    """All of its bytes are there, and all decode."""

    def miscount(content: bytes) -> bytes:
        begin = content.index(b"Info") + 8
        frames = round(int.from_bytes(content[begin : begin + 4]) * factor)
        return content[:begin] + frames.to_bytes(4) + content[begin + 4 :]

    file = damaged("a.mp3", miscount)

    assert checked(file) == []
    assert float(measured(file).length_s) == pytest.approx(SECONDS, abs=PIECE_S)


def test_the_sound_of_a_film_is_a_sound(tmp_path: Path, film_with: FilmWithSounds) -> None:
    """It may end before the picture does, and a cover is no film."""
    film, covered = tmp_path / "a.mp4", tmp_path / "a.mp3"
    picture = ["-f", "lavfi", "-i", "color=s=64x48:d=5", "-f", "lavfi", "-i", "sine=d=3"]
    ask_ffmpeg("-y", *picture, str(film))
    ask_ffmpeg("-y", *picture, "-frames:v", "1", "-c:v", "png", "-disposition:v", "attached_pic", str(covered))

    assert [checked(film), checked(covered)] == [[], []]
    assert [float(measured(file).length_s) for file in (film, covered)] == pytest.approx([3, 3], abs=PIECE_S)


def test_a_sound_may_be_a_single_sample(tmp_path: Path) -> None:
    """Or silence."""
    single, silent = write_wav(tmp_path / "1.wav", tone(1)[:1]), write_wav(tmp_path / "0.wav", np.zeros(RATE_HZ))

    assert [checked(single), checked(silent)] == [[], []]
    assert [measured(single).length_s, measured(silent).length_s] == [Fraction(1, RATE_HZ), 1]


@pytest.mark.parametrize("channels", [1, 2, 6, 8])
@pytest.mark.parametrize("rate_hz", [8000, 192_000])
def test_any_rate_and_any_channels_are_a_sound(tmp_path: Path, rate_hz: int, channels: int) -> None:
    """Each is as long as it is."""
    samples = np.column_stack([tone(1, rate_hz=rate_hz)] * channels)
    file = write_wav(tmp_path / "a.wav", samples, rate_hz=rate_hz)

    assert checked(file) == []
    assert float(measured(file).length_s) == pytest.approx(1, abs=0.001)


def test_a_sound_that_lasts_longer_than_any_film_is_not_read_on(tmp_path: Path) -> None:
    """A small file may decode to days."""
    file = write_wav(tmp_path / "a.wav", np.zeros(5 * RATE_HZ))

    with pytest.raises(FilmError) as caught:
        asyncio.run(measure_sound(file, longest_s=2))

    assert str(caught.value) == f"{file}: lasts longer than 2 s, as no film does; cut out what is to be heard"


@pytest.fixture
def requests() -> Iterator[tuple[str, list[str]]]:
    """Serve on loopback; yield the address, and the requests that came."""
    came: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            came.append(self.path)
            self.send_error(404)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", came
        server.shutdown()
        thread.join()


HLS = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"
LISTS = {
    "a.m3u": "#EXTM3U\n{}\n",
    "a.m3u8": HLS,
    "hls.mp3": HLS,
    "a.pls": "[playlist]\nFile1={}\nNumberOfEntries=1\n",
    "a.xspf": '<?xml version="1.0"?><playlist xmlns="http://xspf.org/ns/0/"><trackList><track><location>{}</location>'
    "</track></trackList></playlist>",
    "a.ffconcat": "ffconcat version 1.0\nfile {}\n",
    "concat.mp3": "ffconcat version 1.0\nfile {}\n",
    "a.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT9S"><Period><AdaptationSet mimeType="audio/mp4"><Representation id="1">'
    "<BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={}\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "a.srt": "1\n00:00:00,000 --> 00:00:09,000\n{}\n",
    "a.avs": 'FFmpegSource2("{}")\n',
}


@pytest.mark.parametrize("name", LISTS)
def test_a_playlist_is_no_sound(tmp_path: Path, requests: tuple[str, list[str]], name: str) -> None:
    """Nor is a script or a manifest, whatever its name: nothing that it names is opened."""
    address, came = requests
    song = write_wav(tmp_path / "song.wav", tone(1))
    for entry in (song.name, str(song), f"{address}/song.wav"):
        file = tmp_path / name
        file.write_text(LISTS[name].format(entry))

        with pytest.raises(StoryboardError, match=r"is no sound.*; use WAV, MP3, FLAC, OGG or M4A"):
            checked(file)
        with pytest.raises(FilmError, match="is no sound"):
            sound_samples.film_with(tmp_path, Sound(file, NOWHERE))
    assert came == []


def test_each_place_that_names_a_damaged_sound_has_a_note(damaged: Callable[[str, Damage], Path]) -> None:
    """They are errors where the settings are strict."""
    file = damaged("a.flac", zeros(0.04))
    board = file.with_name("board.yaml")
    board.write_text(
        f"audio: {{track: {file.name}}}\nscenes:\n- id: s\n  shots:\n  - {{id: t, prompt: x, sound: {file.name}}}\n"
    )

    settings = Settings(output=file.parent / "outputs")
    notes = asyncio.run(check_storyboard(load_storyboard(board), settings))
    with pytest.raises(StoryboardError) as caught:
        asyncio.run(check_storyboard(load_storyboard(board), settings, strict=True))

    assert [(note.line, note.where) for note in notes] == [(1, "audio.track"), (5, "scenes.s.shots.t.sound")]
    assert caught.value.problems == notes
