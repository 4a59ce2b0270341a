"""Tests of pipelines/ledger."""
