"""Where samples come from: typed counts, never bare floats."""
