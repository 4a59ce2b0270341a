"""Tests of pipelines/server."""
