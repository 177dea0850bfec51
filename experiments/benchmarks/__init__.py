"""Speed and agreement against the best known tools: ``python -m experiments.benchmarks NAME --json FILE``."""
