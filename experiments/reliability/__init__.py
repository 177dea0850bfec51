"""What goes wrong in operation, drawn by seeds, and what becomes of the plan."""
