"""Tests, beside the house's own shape."""
