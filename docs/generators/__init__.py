"""Generators of the site's references: the command, the storyboard's format, the Python API."""
