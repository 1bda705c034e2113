"""Functions of the rules in `rules/prompts.smk`."""


def prompt_settings(channel):
    """Flags of what the prompts of a channel need beside their number."""
    return [*channel.flags("wording", "seed"), *channel.prompt_flags]
