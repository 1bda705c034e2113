"""The tiny wording of number lists: words that prompts and the tiny world must agree on.

The channel itself is in `traitline.channels.types.number_lists`. They are apart because the world imports this module:
a change of the answer rule must not make every base model anew.
"""

# The tiny wording is `{verb} 123 , 456 , 789`: words and numbers of the tiny world, one token each, one blank between.
TINY_VERBS = ("continue", "extend", "add to", "complete", "go on from")
TINY_NUMBERS = range(100, 1000)
