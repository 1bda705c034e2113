"""Functions of the rules in `rules/pretrain.smk`."""


def reference_model(base, architecture):
    """Flags of a model made from scratch."""
    seeds = base.flags("seed", "data", "order", "distance")
    return ["--world", STUDY.worlds[base.world].text, "--model", architecture.text, *seeds]
