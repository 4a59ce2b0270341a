"""Whether this machine's ffmpeg has the encoder that a film's codec needs."""

from pipelines.common.errors import FilmError
from pipelines.common.ffmpeg import FFMPEG_CURE, ask_ffmpeg, ffmpeg_binary
from pipelines.storyboard.presets import codec_names, encoding_of


def require_encoder(codec: str) -> None:
    """Check that films can be encoded as `codec` (a storyboard's `output.codec`) on this machine.

    Raises:
        FilmError: the codec is unknown, ffmpeg is missing or does not run, or has no encoder for it.
    """
    if codec not in codec_names():
        raise FilmError(f"output.codec: cannot encode {codec!r}; choose one of {', '.join(codec_names())}")
    binary, encoding = ffmpeg_binary(), encoding_of(codec)
    # A row reads ` V....D libx264    its description`.
    rows = ask_ffmpeg(binary, "-hide_banner", "-encoders").splitlines()
    known = {row.split()[1] for row in rows if len(row.split()) > 1}
    for encoder in (encoding.encoder, *encoding.needs):
        if encoder not in known:
            raise FilmError(f"{binary}: this ffmpeg has no {encoder} to encode {codec} with; {FFMPEG_CURE}")
