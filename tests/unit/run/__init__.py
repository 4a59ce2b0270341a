"""Tests of pipelines/run."""
