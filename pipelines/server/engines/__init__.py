"""Engines that paint the served API's images."""
