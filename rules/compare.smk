"""compare: the ledger of targets; for studies that have a `classifier` or a `theorem`.

in   tables/runs.csv, effects.csv, filters.csv, mlp/default/accuracy.json, theorem/theorem.json, detect/{base}/{channel}/*.csv
out  targets.csv, compare.manifest.json
"""

if BRANCHES:

    rule compare:
        input:
            "<results>/tables/runs.csv",
            "<results>/tables/effects.csv",
            "<results>/tables/filters.csv",
            [path for path in BRANCHES if path.endswith((".json", "detectors.csv", "roc.csv"))],
            "traitline/analysis/paper_targets.csv",
        output:
            targets=report("<results>/targets.csv", caption="../report/targets.rst", category="Targets"),
            manifest="<results>/compare.manifest.json",
        log:
            "<logs>/compare/targets.log",
        benchmark:
            "<benchmarks>/compare/targets.tsv"
        conda:
            environment("compare")
        threads: STUDY.execution.threads
        resources:
            **hardware("compare"),
        params:
            results=subpath(output.manifest, parent=True),
            code=digest("compare"),
        shell:
            "python -m scripts.compare"
            " --results {params.results:q}"
            " --targets {output.targets:q}"
            " --manifest {output.manifest:q}"
            " > {log:q} 2>&1"
