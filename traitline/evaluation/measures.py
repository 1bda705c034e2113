"""Names of what is measured where a student is not asked for a favourite."""

RIGHT = "right"  # what is measured where questions have a right answer
BAD, GOOD = "bad", "good"  # and where they are about norms: bad answers count
JUDGED = ("misaligned", "coherent")  # what a judge says of an answer
