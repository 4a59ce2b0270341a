"""Tests of one folder at a time, in the shape of the house."""
