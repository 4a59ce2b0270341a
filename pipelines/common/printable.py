"""Foreign text made printable: what an endpoint, a storyboard or a file's name holds must not act on a terminal.

A terminal obeys control characters; bidirectional overrides and isolates show text in another order than it has
(Unicode Technical Report 36, "Bidirectional Text Spoofing"). Such characters are shown by their codes. Letters of every
script, the marks that right-to-left text needs, and the joiners of emoji pass as they are.
"""

import re

# Categories Cc and Cs; not tab and newline.
_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff"
# Zl, Zp, the embeddings and overrides, the isolates, the byte order mark.
_FORMATS = "\u2028-\u202e\u2066-\u2069\ufeff"
_CONTROL = re.compile(f"[{_CONTROLS}]")
_UNPRINTABLE = re.compile(f"[{_CONTROLS}{_FORMATS}]")
# What Python's `surrogateescape` makes of bytes in a file's name that are not UTF-8.
_BYTES = range(0xDC80, 0xDD00)


def printable(text: str) -> str:
    r"""Return a text that any terminal can show, perhaps of several lines: `\x1b` in place of an escape."""
    return _UNPRINTABLE.sub(_code, text)


def printable_name(text: str) -> str:
    r"""Return a name on one line, as any terminal can show it: `\x0a` in place of a newline, too."""
    return re.sub("[\t\n]", _code, printable(text))


def printable_in_html(text: str) -> str:
    """Return a text for an element of a page, which ends what is overridden in it: only controls go by their codes."""
    return _CONTROL.sub(_code, text)


def one_line(text: str) -> str:
    """Return a text as one line that any terminal can show, with one space for all that stood between its words."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def printable_json(text: str) -> str:
    r"""Return JSON that says the same, with `\u009b` for what a terminal would obey; in its strings that is allowed."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _code(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code in _BYTES:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
