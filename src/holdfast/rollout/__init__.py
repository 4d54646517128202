"""Pure: the rollout engine. No clock, no dice, no sockets, no files."""
