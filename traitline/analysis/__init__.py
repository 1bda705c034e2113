"""Analysis: tables, statistics, figures and conclusions of a study.

Imports from every district below: the ground floor to `lineage`.
"""
