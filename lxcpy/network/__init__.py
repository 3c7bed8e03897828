"""Bridges, addresses and the firewall table."""
