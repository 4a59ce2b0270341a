"""Tests of pipelines/common."""
