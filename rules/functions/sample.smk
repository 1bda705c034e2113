"""Functions of the rules in `rules/sample.smk`."""


def shard_answers():
    """Answers of the shards of a teacher's sampling; none where one job does it all."""
    shards = STUDY.execution.shards
    names = [f"{i}-of-{shards}" for i in range(1, shards + 1)] if shards > 1 else []
    return [f"<results>/<answers>/shards/{name}/answers.jsonl" for name in names]


def channel_temperature(w):
    """Temperature of a channel, or of all."""
    temperature = STUDY.channels[w.channel].temperature
    return STUDY.sample.temperature if temperature is None else temperature


def answer_format(channel):
    """Flags of a format that answers are limited to, and of the rows of the divergence."""
    kind = STUDY.channels[channel]
    limits = {"answers": kind.answers, "digits": kind.digits}
    return [*(["--limited", json.dumps(limits)] if STUDY.sample.limited else []), *STUDY.sample.flags("kl_rows")]
