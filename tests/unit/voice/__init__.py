"""Tests of pipelines/voice."""
