"""Workflow: Snakemake's plan, launches on Slurm, the check of artifacts at launch, and stages of DVC.

Imports from every district below: the ground floor to `lineage`.
"""
