"""Images: names, configs, layers, archives and how the first one is made."""
