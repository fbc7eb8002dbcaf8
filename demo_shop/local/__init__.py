"""The whole shop on one machine: its stores and a process per role, on loopback."""
