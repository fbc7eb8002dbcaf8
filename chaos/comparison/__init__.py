"""Finished live runs beside the same runs in the simulator."""
