"""Containers on a plain LXC host, without a daemon."""

__version__ = "0.1.0"
