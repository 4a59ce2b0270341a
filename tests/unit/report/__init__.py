"""Tests of pipelines/report."""
