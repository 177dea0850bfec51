"""Studies that reproduce the numbers of the documentation: one folder each, with its command."""
