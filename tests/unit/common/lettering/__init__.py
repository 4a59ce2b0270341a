"""Tests of pipelines/common/lettering."""
