"""What the cluster lets in: policies the API server evaluates itself, and verified signatures."""
