"""Workflow: Snakemake's plan, launches on Slurm, the check of artifacts at launch, and the ledger of DVC.

Imports from every district below: the ground floor to `lineage`.
"""
