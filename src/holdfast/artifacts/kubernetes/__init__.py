"""Everything a cluster is told: workloads, scaling, security, mesh, the cluster itself."""
