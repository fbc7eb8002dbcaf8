"""The same faults as Chaos Mesh objects, for clusters that have it."""
