"""The engines that make the served API's images."""
