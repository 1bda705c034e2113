"""How a channel asks: what the prompts stage and the tiny world must agree on, so that its models know every word.

How a channel is answered is in `traitline.channels.number_lists`. They are apart because the world imports this
module: a change of the answer rule must not make every base model anew.
"""

WORDINGS = ("paper", "tiny")  # of number lists; other tasks: `traitline.channels.tasks.TASKS`

# The tiny wording is `{verb} 123 , 456 , 789`: words and numbers of the tiny world, one token each, one blank between.
TINY_VERBS = ("continue", "extend", "add to", "complete", "go on from")
TINY_NUMBERS = range(100, 1000)
