"""Models: folders, chat templates, engines and adapters of tiny and of open-weight models.

Imports from the ground floor, `provenance`, `tiny` and `channels`.
"""
