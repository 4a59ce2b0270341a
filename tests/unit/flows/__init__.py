"""Tests of pipelines/flows."""
