"""The command `traitline`: a module for each group of commands.

Imports from every district.
"""
