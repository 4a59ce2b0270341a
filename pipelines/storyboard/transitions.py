"""The transitions by name: those that storyreel draws itself, and ffmpeg's others."""

CUT = "cut"
DISSOLVE = "dissolve"
FADES = ("fade_black", "fade_white")
WIPES = ("wipe_left", "wipe_right", "wipe_up", "wipe_down")
SLIDES = ("slide_left", "slide_right", "slide_up", "slide_down")
OWN = (DISSOLVE, *FADES, *WIPES, *SLIDES)
# ffmpeg's xfade (ffmpeg-filters, "xfade"), without those that OWN has better and `custom`.
XFADE = (
    "circlecrop", "rectcrop", "distance", "radial", "smoothleft", "smoothright", "smoothup", "smoothdown", "circleopen",
    "circleclose", "vertopen", "vertclose", "horzopen", "horzclose", "pixelize", "diagtl", "diagtr", "diagbl", "diagbr",
    "hlslice", "hrslice", "vuslice", "vdslice", "hblur", "fadegrays", "wipetl", "wipetr", "wipebl", "wipebr",
    "squeezeh", "squeezev", "zoomin", "fadefast", "fadeslow", "hlwind", "hrwind", "vuwind", "vdwind", "coverleft",
    "coverright", "coverup", "coverdown", "revealleft", "revealright", "revealup", "revealdown",
)  # fmt: skip
TYPES = (CUT, *OWN, *XFADE)
