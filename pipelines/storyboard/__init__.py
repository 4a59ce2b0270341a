"""The storyboard: the YAML format, its located errors, and its expansion into frames."""
