"""Tests of several folders together: real ffmpeg, sockets, browsers, databases."""
