"""Functions of the rules in `rules/prompts.smk`."""


def prompt_settings(label):
    """Flags of what the prompts of a channel need beside their number."""
    channel = STUDY.channels[label]
    return [*channel.flags("wording", "seed"), *channel.prompt_flags, *verb_flags(label)]
