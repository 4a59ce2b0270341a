"""The FLUX API, served: for rehearsal and tests, or in front of another endpoint."""
