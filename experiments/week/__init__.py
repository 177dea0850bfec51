"""A week as it happens, followed by prices and by charts."""
