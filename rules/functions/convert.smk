"""Functions of the rules in `rules/convert.smk`."""


def merged_adapter(base):
    """Files of the adapter that moves a base; none of other bases."""
    folder = STUDY.moving_teacher(base)
    return [f"{folder}/{file}" for file in ADAPTER_FILES] if folder else []
