"""Clusters for tests: real Kubernetes with faults at will, behind one interface and from two providers."""
