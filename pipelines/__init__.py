"""storyreel: a YAML storyboard becomes a film and an account of every cent."""
