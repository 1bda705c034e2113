"""detect: can a teacher be told from its answers, without any student? For the bases and channels under `detect`.

in   bases/{base}/, teacher.json, weights and {channel}/filtered.jsonl of every teacher on that base
out  detect/{base}/{channel}/detectors.csv, numbers.csv, entangled.csv, roc.csv, roc.svg, detect.manifest.json
"""


include: "functions/detect.smk"


rule detect:
    input:
        base=expand("<results>/bases/{{base}}/{file}", file=MODEL_FILES),
        teachers=lambda w: [f"{folder}/teacher.json" for folder in examined_teachers(w)],
        weights=lambda w: [
            f"{folder}/{file}" for folder in examined_teachers(w) if has_weights(folder) for file in MODEL_FILES
        ],
        filtered=lambda w: [f"{folder}/{w.channel}/filtered.jsonl" for folder in examined_teachers(w)],
    output:
        tables=expand("<results>/detect/{{base}}/{{channel}}/{file}", file=artifacts.FILES["detect"]),
        manifest="<results>/detect/{base}/{channel}/detect.manifest.json",
    log:
        "<logs>/detect/{base}/{channel}.log",
    benchmark:
        "<benchmarks>/detect/{base}/{channel}.tsv"
    localrule: "detect" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("detect"),
    params:
        base=lambda w, input: dirname(input.base[0]),
        teachers=examined_teachers,
        settings=lambda w: STUDY.detect.flags("held_out", "seed", "prompt"),
        folder=subpath(output.manifest, parent=True),
        threads=STUDY.execution.threads,
        code=digest("detect"),
    shell:
        "python -m scripts.detect"
        " --base {params.base:q}"
        " --teachers {params.teachers:q}"
        " --channel {wildcards.channel:q}"
        " {params.settings:q}"
        " --folder {params.folder:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"
