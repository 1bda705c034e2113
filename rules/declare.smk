"""declare: the primary outcomes, written down before anything else runs; what was written before stays in the file.

in   the study's `primary` and its rows
out  declared.json, declare.manifest.json; declared.jsonl, which is no output, so that nothing deletes it
"""


rule declare:
    output:
        declared="<results>/declared.json",
        manifest="<results>/declare.manifest.json",
    log:
        "<logs>/declare/declared.log",
    benchmark:
        "<benchmarks>/declare/declared.tsv"
    priority: 100
    localrule: "declare" in STUDY.execution.local
    conda:
        environment("declare")
    threads: STUDY.execution.threads
    resources:
        **hardware("declare"),
    params:
        primary=STUDY.declared,
        results=subpath(output.manifest, parent=True),
        code=digest("declare"),
    shell:
        "python -m scripts.declare"
        " --primary {params.primary:q}"
        " --results {params.results:q}"
        " --declared {output.declared:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
