"""Start the study."""

from experiments.convergence.run import main

if __name__ == "__main__":
    main()
