"""Cost charts in closed loop, against perfect foresight."""
