"""Sellers of images as their own clients know them, served on loopback, each with a book of what it billed."""
