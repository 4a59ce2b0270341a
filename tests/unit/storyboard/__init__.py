"""Tests of pipelines/storyboard."""
