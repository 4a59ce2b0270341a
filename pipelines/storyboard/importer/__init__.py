"""Storyboards from lists of prompts, and the one that a newcomer starts from."""
