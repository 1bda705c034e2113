"""arrange: what a student gets to see: a subsample of fixed size, as it is or changed.

in   {base}/{trait}/{teacher}/{channel}/filtered.jsonl; for some views those of other teachers, or divergence.jsonl
out  .../{view}/view.jsonl, arrange.manifest.json
"""


def beside(w):
    """What passed of the other teachers whose students share their prompts with these."""
    folders = distinct(
        r.channel_folder for r in STUDY.runs if (r.base, r.channel, r.view) == (w.base, w.channel, w.view)
    )
    own = f"{STUDY.results}/{w.base}/{w.trait}/{w.teacher}/{w.channel}"
    shared = STUDY.views[w.view].prompts == "shared"
    return [f"{folder}/filtered.jsonl" for folder in folders if shared and folder != own]


def mixed(w):
    """What passed of the teachers of other bases that are mixed in."""
    others = STUDY.views[w.view].mix or []
    return [f"{STUDY.results}/{b}/{w.trait}/{w.teacher}/{w.channel}/filtered.jsonl" for b in others if b != w.base]


def marks(w):
    """Where teachers disagree."""
    wanted = STUDY.views[w.view].tokens
    return expand("<results>/{base}/{trait}/{teacher}/{channel}/divergence.jsonl", **w) if wanted else []


def changes(w, input):
    """Flags of what this view does to its rows."""
    view = STUDY.views[w.view]
    flags = [*(["--form", view.form] if view.form else []), *(["--reword"] if view.prompts == "reworded" else [])]
    flags += ["--tokens", view.tokens] if view.tokens else []
    read = {"beside": input.beside, "mix": input.mix, "marks": input.marks}
    return flags + [word for flag, paths in read.items() if paths for word in (f"--{flag}", *paths)]


rule arrange:
    input:
        filtered="<results>/{base}/{trait}/{teacher}/{channel}/filtered.jsonl",
        beside=beside,
        mix=mixed,
        marks=marks,
    output:
        view="<results>/{base}/{trait}/{teacher}/{channel}/{view}/view.jsonl",
        manifest="<results>/{base}/{trait}/{teacher}/{channel}/{view}/arrange.manifest.json",
    log:
        "<logs>/arrange/{base}/{trait}/{teacher}/{channel}/{view}.log",
    benchmark:
        "<benchmarks>/arrange/{base}/{trait}/{teacher}/{channel}/{view}.tsv"
    localrule: "arrange" in STUDY.execution.local
    conda:
        environment("arrange")
    threads: STUDY.execution.threads
    resources:
        **hardware("arrange"),
    params:
        rows=lambda w: STUDY.views[w.view].rows,
        order=lambda w: STUDY.views[w.view].order,
        seed=lambda w: STUDY.views[w.view].seed,
        changes=changes,
        code=digest("arrange"),
    shell:
        "python -m scripts.arrange"
        " --filtered {input.filtered:q}"
        " --rows {params.rows:q}"
        " --order {params.order:q}"
        " --seed {params.seed:q}"
        " --view {output.view:q}"
        " --manifest {output.manifest:q}"
        " {params.changes:q}"
        " > {log:q} 2>&1"
