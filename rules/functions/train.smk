"""Functions of the rules in `rules/train.smk`."""


def base_label(input):
    """Label of the base from its files."""
    return basename(dirname(input.base[0]))
