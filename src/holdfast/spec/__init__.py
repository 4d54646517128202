"""The one declarative file: model, loading with line numbers, defaults with their origin."""
