"""Istio: who talks to whom is proven by certificates, and traffic is shaped as the spec says."""
