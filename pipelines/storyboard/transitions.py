"""Names of the transitions: those that storyreel draws itself, and the others, which ffmpeg draws."""

CUT = "cut"
DISSOLVE = "dissolve"
FADES = ("fade_black", "fade_white")
WIPES = ("wipe_left", "wipe_right", "wipe_up", "wipe_down")
SLIDES = ("slide_left", "slide_right", "slide_up", "slide_down")
# Drawn by storyreel.
OWN = (DISSOLVE, *FADES, *WIPES, *SLIDES)
# Drawn by ffmpeg's xfade (ffmpeg-filters, "xfade"): all but `custom`, which needs an expression, and those like OWN's.
XFADE = (
    "circlecrop", "rectcrop", "distance", "radial", "smoothleft", "smoothright", "smoothup", "smoothdown", "circleopen",
    "circleclose", "vertopen", "vertclose", "horzopen", "horzclose", "pixelize", "diagtl", "diagtr", "diagbl", "diagbr",
    "hlslice", "hrslice", "vuslice", "vdslice", "hblur", "fadegrays", "wipetl", "wipetr", "wipebl", "wipebr",
    "squeezeh", "squeezev", "zoomin", "fadefast", "fadeslow", "hlwind", "hrwind", "vuwind", "vdwind", "coverleft",
    "coverright", "coverup", "coverdown", "revealleft", "revealright", "revealup", "revealdown",
)  # fmt: skip
TYPES = (CUT, *OWN, *XFADE)
