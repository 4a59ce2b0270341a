"""The film: a timeline and its frames become an MP4."""
