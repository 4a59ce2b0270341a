"""The books: every attempt written down before it is sent, and the gate that admits it."""
