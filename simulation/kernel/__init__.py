"""The request-level engine: client requests over pods and a call graph, as exact events in compiled code."""
