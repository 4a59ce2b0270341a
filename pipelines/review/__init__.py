"""The local review app: a page on loopback to look at frames, re-roll them and pick takes."""
