"""Evaluation: questions put to students, and how their answers are scored or judged.

Imports from the ground floor, `provenance`, `tiny`, `channels` and `models`.
"""
