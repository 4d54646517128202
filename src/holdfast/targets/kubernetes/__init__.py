"""A Kubernetes cluster, through its API: the same engine, verdicts and ledger."""
