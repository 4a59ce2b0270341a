"""The FLUX API, served on loopback for rehearsal and tests."""
