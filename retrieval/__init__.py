"""A question becomes ranked passages that its reader may read."""
