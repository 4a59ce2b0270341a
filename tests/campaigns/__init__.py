"""Campaigns: many seeded trials that try to break a promise; a short form in `make test`, a long one on demand."""
