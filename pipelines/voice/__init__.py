"""Narration -> speech and the times of its words: who speaks, and what was spoken before."""
