"""Where the packaged example admmflex/examples/village comes from."""
