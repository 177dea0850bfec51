"""Random days, long operation, and what messages reveal."""
