"""Lineage: the graph of artifacts, its questions (trace, impact, audit, verify, diff) and its exports.

Imports from every district below: the ground floor to `study`.
"""
