"""One run: its context, its steps, the generation of its takes, its progress and its result."""
