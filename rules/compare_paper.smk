"""compare_paper: the paper's figures beside ours; for studies that have a `classifier` or a `theorem`.

in   tables/runs.csv, effects.csv, filters.csv, classifier/default/accuracy.json, theorem/theorem.json, detect/{base}/{channel}/*.csv
out  targets.csv, compare_paper.manifest.json
"""

if STUDY.side_folders:

    rule compare_paper:
        input:
            expand("<results>/tables/{table}", table=artifacts.COMPARED_TABLES),
            [path for path in BRANCH_FILES if path.endswith((".json", *artifacts.COMPARED_DETECTIONS))],
            "traitline/analysis/paper_targets.csv",
        output:
            targets=report("<results>/targets.csv", caption="../report/targets.rst", category="Targets"),
            manifest="<results>/compare_paper.manifest.json",
        log:
            "<logs>/compare_paper/targets.log",
        benchmark:
            "<benchmarks>/compare_paper/targets.tsv"
        conda:
            ENVIRONMENT
        threads: STUDY.execution.threads
        resources:
            **hardware("compare_paper"),
        params:
            results=subpath(output.manifest, parent=True),
            code=digest("compare_paper"),
        shell:
            "python -m scripts.compare_paper"
            " --results {params.results:q}"
            " --targets {output.targets:q}"
            " --manifest {output.manifest:q}"
            " > {log:q} 2>&1"
