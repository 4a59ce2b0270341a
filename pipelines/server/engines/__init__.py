"""The engines that paint the served API's images."""
