"""theorem: the numeric check of the theorem; nothing where the study has no `theorem`.

in   settings only
out  theorem/theorem.json, theorem.svg, theorem.manifest.json
"""

if STUDY.theorem:

    rule theorem:
        output:
            claims="<results>/theorem/theorem.json",
            figure=report("<results>/theorem/theorem.svg", caption="../report/theorem.rst", category="Theorem"),
            manifest="<results>/theorem/theorem.manifest.json",
        log:
            "<logs>/theorem/theorem.log",
        benchmark:
            "<benchmarks>/theorem/theorem.tsv"
        conda:
            ENVIRONMENT
        threads: STUDY.execution.threads
        resources:
            **hardware("theorem"),
        params:
            settings=STUDY.theorem.all_flags(),
            folder=subpath(output.manifest, parent=True),
            threads=STUDY.execution.threads,
            code=digest("theorem"),
        shell:
            "python -m scripts.theorem"
            " {params.settings:q}"
            " --folder {params.folder:q}"
            " --threads {params.threads:q}"
            " --manifest {output.manifest:q}"
            " > {log:q} 2>&1"
