"""LXC: the config it reads and the tools it brings."""
