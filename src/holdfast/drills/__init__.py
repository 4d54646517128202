"""Promises made executable: workload, fault, measurement, finding."""
