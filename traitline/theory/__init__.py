"""Theory: the paper's theorem as a numeric check, and its classifier experiment; no language model.

Imports from the ground floor and `channels`.
"""
