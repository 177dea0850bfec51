"""Studies that reproduce the numbers of the documentation: one folder each, with its command.

Everybody gets one thread.
"""

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
