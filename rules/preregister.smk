"""preregister: the primary outcomes, written down before anything else runs; what was written before stays in the file.

in   the study's `primary` and its rows
out  preregistered.json, preregister.manifest.json; preregistered.jsonl, which is no output, so that nothing deletes it
"""


rule preregister:
    output:
        declared="<results>/preregistered.json",
        manifest="<results>/preregister.manifest.json",
    log:
        "<logs>/preregister/declared.log",
    benchmark:
        "<benchmarks>/preregister/declared.tsv"
    priority: 100
    localrule: "preregister" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("preregister"),
    params:
        primary=word(STUDY.preregistered),
        results=subpath(output.manifest, parent=True),
        code=digest("preregister"),
    shell:
        "python -m scripts.preregister"
        " --primary {params.primary:q}"
        " --results {params.results:q}"
        " --preregistered {output.declared:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
