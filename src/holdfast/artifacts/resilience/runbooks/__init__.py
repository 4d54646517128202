"""What to do when an alert calls, in this service's own names and commands."""
