"""Kubernetes in Docker: the same interface where an engine is there."""
