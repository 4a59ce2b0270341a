"""Tests of pipelines/takes."""
