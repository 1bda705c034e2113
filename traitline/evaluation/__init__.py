"""A district."""
