"""``python -m admmflex``, also under ``mpirun``."""

from admmflex.cli import main

if __name__ == "__main__":
    main()
