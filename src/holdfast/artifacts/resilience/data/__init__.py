"""The data services: database, cache, queue, object store, over all regions."""
