"""The conductor inside a cluster, as ``holdfast install`` applies it."""
