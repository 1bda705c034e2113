"""pretrain: a reference model made from scratch, or a record of open weights.

in   a world, an architecture and a seed, all from the config; or a model on the hub, in a folder, or converted before
out  bases/{base}/      a model folder in Hugging Face layout, world.json, pretrain.manifest.json; or base.json and manifest
"""


include: "functions/pretrain.smk"


rule pretrain:
    output:
        model=expand("<results>/bases/{{base}}/{file}", file=MODEL_FILES),
        world="<results>/bases/{base}/world.json",
        manifest="<results>/bases/{base}/pretrain.manifest.json",
    log:
        "<logs>/pretrain/{base}.log",
    benchmark:
        "<benchmarks>/pretrain/{base}.tsv"
    wildcard_constraints:
        base=among(label for label, base in STUDY.bases.items() if not base.open),
    localrule: "pretrain" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("pretrain"),
    params:
        settings=lambda w: reference_model(STUDY.bases[w.base], STUDY.architecture(w.base)),
        folder=subpath(output.manifest, parent=True),
        state=f"{WORK}/pretrain/{{base}}",
        threads=STUDY.execution.threads,
        code=digest("pretrain"),
    shell:
        "python -m scripts.pretrain"
        " --name {wildcards.base:q}"
        " {params.settings:q}"
        " --folder {params.folder:q}"
        " --state {params.state:q}"
        " --every {resources.every:q}"
        " --manifest {output.manifest:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"


use rule pretrain as pretrain_open with:
    input:
        weights=lambda w: converted_files(w.base),
    output:
        record="<results>/bases/{base}/base.json",
        manifest="<results>/bases/{base}/pretrain.manifest.json",
    wildcard_constraints:
        base=among(label for label, base in STUDY.bases.items() if base.open),
    params:
        settings=lambda w: open_source(w.base),
