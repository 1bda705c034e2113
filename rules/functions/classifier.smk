"""Functions of the rules in `rules/classifier.smk`."""


def image_files(point):
    """Files of images by role; none for the digits that are built in."""
    data = STUDY.classifier.points[point].data
    return STUDY.images[data].paths if data in STUDY.images else {}


def image_flags(point):
    """Flags of these files and their hashes."""
    data = STUDY.classifier.points[point].data
    return STUDY.images[data].all_flags() if data in STUDY.images else []
