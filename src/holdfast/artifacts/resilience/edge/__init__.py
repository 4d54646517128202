"""What stands before the service: rate limits, firewall, caching, failover between regions."""
