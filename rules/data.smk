"""data: a file from outside, looked over and brought into one form.

in   a file on the disk or at a commit of the hub, as `data` of the config says
out  data/{data}/rows.jsonl, data.manifest.json, which states where they come from
"""


rule data:
    input:
        source=lambda w: STUDY.data[w.data].path or [],
    output:
        rows="<results>/data/{data}/rows.jsonl",
        manifest="<results>/data/{data}/data.manifest.json",
    log:
        "<logs>/data/{data}.log",
    benchmark:
        "<benchmarks>/data/{data}.tsv"
    localrule: "data" in STUDY.execution.local
    conda:
        environment("data")
    threads: STUDY.execution.threads
    resources:
        **hardware("data"),
    params:
        source=lambda w: STUDY.data[w.data].text,
        code=digest("data"),
    shell:
        "python -m scripts.data"
        " --name {wildcards.data:q}"
        " --source {params.source:q}"
        " --rows {output.rows:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
