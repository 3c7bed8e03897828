"""The directory of a container: its records and its log."""
