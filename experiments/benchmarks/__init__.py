"""Speed and agreement against the best known tools: ``python -m experiments.benchmarks NAME --json FILE``.

Everybody gets one thread.
"""

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
