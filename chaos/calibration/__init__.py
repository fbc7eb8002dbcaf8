"""Parameters of the simulator's shop, measured on live runs."""
