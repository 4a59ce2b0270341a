"""Tests of pipelines/film."""
