"""Storyboards to start from: the commented starter, and those made of a list of prompts."""
