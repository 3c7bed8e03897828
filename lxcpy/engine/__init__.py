"""The verbs: they join the subjects and return data."""
