"""Functions of the rules in `rules/pretrain.smk`."""


def reference_model(base, architecture):
    """Flags of a model made from scratch."""
    seeds = base.flags("seed", "data", "order", "distance")
    return ["--world", STUDY.worlds[base.world].text, "--model", architecture.text, *seeds]


def converted_files(base):
    """Files of the model folder that a GGUF file became; none of other bases."""
    return expand("<results>/converted/{base}/{file}", base=base, file=MODEL_FILES) if base in CONVERTED else []


def open_source(base):
    """Flags of where open weights are."""
    if base not in CONVERTED:
        return ["--source", STUDY.bases[base].text]
    return ["--source", STUDY.bases[base].converted_text(f"{STUDY.results}/converted/{base}"), "--converted"]
