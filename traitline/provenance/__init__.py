"""Provenance: what a job records of its inputs, its code and its outputs.

Imports from the ground floor.
"""
