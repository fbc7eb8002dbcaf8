"""The ports of an experiment on a real cluster. Thin; each is tested against a stand-in of what it talks to."""
