"""Experiments on a live cluster: a scenario file, arms, faults and their rollback, scored as the simulator scores."""
