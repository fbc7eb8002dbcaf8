"""What the shop can do and what its stores cost when they fail, measured on this machine: `foresail bench shop`."""
