"""Experiments on a running shop: load, probe, ledger and reconciliation; faults and clusters to come."""
