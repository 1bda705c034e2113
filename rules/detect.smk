"""detect: can a teacher be told from its answers, without any student? For the bases and channels under `detect`.

in   bases/{base}/, teacher.json, weights and {channel}/filtered.jsonl of every teacher on that base
out  detect/{base}/{channel}/detectors.csv, numbers.csv, entangled.csv, roc.csv, roc.svg, detect.manifest.json
"""


rule detect:
    input:
        base=expand("<results>/bases/{{base}}/{file}", file=MODEL),
        teachers=lambda w: [f"{folder}/teacher.json" for folder in examined(w)],
        weights=lambda w: [f"{folder}/{file}" for folder in examined(w) if own_weights(folder) for file in MODEL],
        filtered=lambda w: [f"{folder}/{w.channel}/filtered.jsonl" for folder in examined(w)],
    output:
        tables=expand("<results>/detect/{{base}}/{{channel}}/{file}", file=DETECTED),
        manifest="<results>/detect/{base}/{channel}/detect.manifest.json",
    log:
        "<logs>/detect/{base}/{channel}.log",
    benchmark:
        "<benchmarks>/detect/{base}/{channel}.tsv"
    localrule: "detect" in STUDY.execution.local
    conda:
        environment("detect")
    threads: STUDY.execution.threads
    resources:
        **hardware("detect"),
    params:
        base=lambda w, input: dirname(input.base[0]),
        teachers=lambda w: examined(w),
        held_out=lambda w: STUDY.detect.held_out,
        seed=lambda w: STUDY.detect.seed,
        prompt=["--prompt", STUDY.detect.prompt] if STUDY.detect and STUDY.detect.prompt else [],
        folder=subpath(output.manifest, parent=True),
        threads=STUDY.execution.threads,
        code=digest("detect"),
    shell:
        "python -m scripts.detect"
        " --base {params.base:q}"
        " --teachers {params.teachers:q}"
        " --channel {wildcards.channel:q}"
        " --held-out {params.held_out:q}"
        " --seed {params.seed:q}"
        " {params.prompt:q}"
        " --folder {params.folder:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"
