"""Shared by all other folders: errors, files, settings, budgets, geometry, pictures, fonts, text."""
