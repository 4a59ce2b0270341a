"""Small things that every folder needs: errors, files, settings, geometry, pictures, text."""
