"""Scans of folders that traitline did not make: what is claimed there, what is recorded, what the bytes say.

Imports from the ground floor, `provenance`, `kinship` and `lineage`.
"""
