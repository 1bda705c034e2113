"""Study: what the configuration may say, checked, and the runs that it asks for.

Imports from every district below: the ground floor to `evaluation`.
"""
