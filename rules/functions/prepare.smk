"""Functions of the rules in `rules/prepare.smk`."""


def other_teachers(w):
    """Filtered answers of the other teachers whose students share their prompts with these."""
    if STUDY.datasets[w.dataset].prompts != "shared":
        return []
    wanted = (w.base, w.channel, w.dataset)
    draw = split_teacher(w.teacher)[1]
    runs = [run for run in STUDY.runs if run.draw == draw]
    folders = distinct(run.channel_folder for run in runs if (run.base, run.channel, run.dataset) == wanted)
    channel_folder = folder_of(artifacts.ANSWERS, w)
    return [f"{folder}/filtered.jsonl" for folder in folders if folder != channel_folder]


def other_bases(w):
    """Filtered answers of the teachers on other bases that are mixed in."""
    bases = STUDY.datasets[w.dataset].mix or []
    return [f"{folder_of(artifacts.ANSWERS, w, base=base)}/filtered.jsonl" for base in bases if base != w.base]


def divergence_marks(w):
    """Where teachers disagree, for a dataset that learns only some tokens."""
    path = f"{folder_of(artifacts.ANSWERS, w)}/divergence.jsonl"
    return [path] if STUDY.datasets[w.dataset].tokens else []


def dataset_flags(w):
    """Flags of a dataset's settings."""
    dataset = STUDY.datasets[w.dataset]
    dataset = dataset.model_copy(update={"seed": seed_of(dataset.seed, w.teacher)})
    words = dataset.flags("rows", "order", "seed", "form", "tokens", "scarce")
    return [*words, "--reword", *verb_flags(w.channel)] if dataset.prompts == "reworded" else words


def other_files_flags(w, input):
    """Flags of the other files that a dataset reads."""
    words = []
    for flag in ("beside", "mix", "marks"):
        words += [f"--{flag}", *input[flag]] if input[flag] else []
    return words
