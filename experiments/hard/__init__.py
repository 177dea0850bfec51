"""Days on which price coordination is hard."""
