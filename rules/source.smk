"""source: a file from outside, looked over and brought into one form.

in   a file on the disk or at a commit of the hub, as `sources` of the config say
out  sources/{source}/rows.jsonl, source.manifest.json, which states where they come from
"""


rule source:
    input:
        source=lambda w: STUDY.sources[w.source].path or [],
    output:
        rows="<results>/sources/{source}/rows.jsonl",
        manifest="<results>/sources/{source}/source.manifest.json",
    log:
        "<logs>/source/{source}.log",
    benchmark:
        "<benchmarks>/source/{source}.tsv"
    localrule: "source" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("source"),
    params:
        source=lambda w: STUDY.sources[w.source].text,
        code=digest("source"),
    shell:
        "python -m scripts.source"
        " --name {wildcards.source:q}"
        " --source {params.source:q}"
        " --rows {output.rows:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
