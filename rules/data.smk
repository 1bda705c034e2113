"""data: a file from outside, looked over and brought into one form.

in   a file on the disk or at a commit of the hub, as `sources` of the config say
out  sources/{source}/rows.jsonl, data.manifest.json, which states where they come from
"""


rule data:
    input:
        source=lambda w: STUDY.sources[w.source].path or [],
    output:
        rows="<results>/sources/{source}/rows.jsonl",
        manifest="<results>/sources/{source}/data.manifest.json",
    log:
        "<logs>/data/{source}.log",
    benchmark:
        "<benchmarks>/data/{source}.tsv"
    localrule: "data" in STUDY.execution.local
    conda:
        environment("data")
    threads: STUDY.execution.threads
    resources:
        **hardware("data"),
    params:
        source=lambda w: STUDY.sources[w.source].text,
        code=digest("data"),
    shell:
        "python -m scripts.data"
        " --name {wildcards.source:q}"
        " --source {params.source:q}"
        " --rows {output.rows:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
