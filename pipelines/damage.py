"""What Pillow raises on files that are no picture, or no whole one."""

import struct
import zlib

from PIL import Image

# Pillow documents no common base; each of these was seen.
DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, OverflowError, IndexError, KeyError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip
