"""Helpers of the tests: builders, samples, servers, browsers, databases."""
