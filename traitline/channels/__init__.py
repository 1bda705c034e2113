"""Channels: what a teacher is asked for, what a valid answer is, and the tiny world that speaks both.

Imports from the ground floor and `provenance`.
"""
