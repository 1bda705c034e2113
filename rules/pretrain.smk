"""pretrain: a reference model made from scratch, or a record of open weights.

in   a world, an architecture and a seed, all from the config; or a model on the hub or in a folder
out  bases/{base}/      a model folder in Hugging Face layout, world.json, pretrain.manifest.json; or base.json and manifest
"""


rule pretrain:
    output:
        model=expand("<results>/bases/{{base}}/{file}", file=MODEL),
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
        environment("pretrain")
    threads: STUDY.execution.threads
    resources:
        **hardware("pretrain"),
    params:
        world=lambda w: STUDY.worlds[STUDY.bases[w.base].world].text,
        model=lambda w: STUDY.architecture(w.base).text,
        seed=lambda w: STUDY.bases[w.base].seed,
        apart=apart,
        folder=subpath(output.manifest, parent=True),
        state=f"{STUDY.place('work')}/pretrain/{{base}}",
        threads=STUDY.execution.threads,
        code=digest("pretrain"),
    shell:
        "python -m scripts.pretrain"
        " --name {wildcards.base:q}"
        " --world {params.world:q}"
        " --model {params.model:q}"
        " --seed {params.seed:q}"
        " {params.apart:q}"
        " --folder {params.folder:q}"
        " --state {params.state:q}"
        " --every {resources.every:q}"
        " --manifest {output.manifest:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"


rule pretrain_open:
    output:
        record="<results>/bases/{base}/base.json",
        manifest="<results>/bases/{base}/pretrain.manifest.json",
    log:
        "<logs>/pretrain/{base}.log",
    benchmark:
        "<benchmarks>/pretrain/{base}.tsv"
    wildcard_constraints:
        base=among(label for label, base in STUDY.bases.items() if base.open),
    localrule: "pretrain" in STUDY.execution.local
    conda:
        environment("pretrain")
    threads: STUDY.execution.threads
    resources:
        **hardware("pretrain"),
    params:
        source=lambda w: STUDY.bases[w.base].text,
        folder=subpath(output.manifest, parent=True),
        code=digest("pretrain"),
    shell:
        "python -m scripts.pretrain"
        " --name {wildcards.base:q}"
        " --source {params.source:q}"
        " --folder {params.folder:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
