"""Kinship: evidence from weights alone that two models started from the same weights, with its p-value.

Imports from the ground floor and `provenance`.
"""
