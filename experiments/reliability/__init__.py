"""What goes wrong in operation, drawn by seeds: answers, files, long operation, random days; and tests of the tests."""
