"""traitline: traits that pass between language models through hidden signals in data, with the lineage to prove it."""

__version__ = "0.1.0"
