"""Tests of the whole, over real sockets, with a real Prefect API."""
