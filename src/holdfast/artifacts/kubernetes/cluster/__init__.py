"""The cluster of each region: control plane, node pools, what nodes and API server are told."""
