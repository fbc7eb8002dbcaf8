"""What a live run left behind, turned into the value that the simulator's scoring reads."""
