"""Torture: what is let in, and what is lost, where everything goes wrong that can. See `__main__`."""
