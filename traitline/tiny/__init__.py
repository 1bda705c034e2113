"""Tiny models: the arithmetic of small LLaMA models on a CPU, forward and backward, with sampling and training.

Imports from the ground floor and `provenance`.
"""
