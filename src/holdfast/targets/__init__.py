"""Where orders are performed: local processes behind Envoy, or a simulated world."""
