"""The takes: where they lie, which are there, what killed runs left, and the numbered frames made of them."""
