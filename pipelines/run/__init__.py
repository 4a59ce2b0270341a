"""One run: its context, its steps, one take and one request at a time."""
