"""What the operator costs: ticks, queries, memory, CPU and requests, measured on the real process without a cluster."""
