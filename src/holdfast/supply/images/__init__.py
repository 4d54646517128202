"""Container images: built, looked into, held against their promises."""
