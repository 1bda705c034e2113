"""check_influence: did what `influence` predicted come true? For studies that have an `influence`.

in   tables/runs.csv, every influence.json
out  check_influence/pairs.csv, summary.csv, check_influence.svg, check_influence.manifest.json
"""

if STUDY.influence:

    rule check_influence:
        input:
            runs="<results>/tables/runs.csv",
            influence=[f"{folder}/influence.json" for folder in STUDY.predictions],
        output:
            tables=["<results>/check_influence/pairs.csv", "<results>/check_influence/summary.csv"],
            figure=report(
                "<results>/check_influence/check_influence.svg",
                caption="../report/check_influence.rst",
                category="Predicted",
            ),
            manifest="<results>/check_influence/check_influence.manifest.json",
        log:
            "<logs>/check_influence/check_influence.log",
        benchmark:
            "<benchmarks>/check_influence/check_influence.tsv"
        localrule: "check_influence" in STUDY.execution.local
        conda:
            ENVIRONMENT
        threads: STUDY.execution.threads
        resources:
            **hardware("check_influence"),
        params:
            study=STUDY_WORD,
            tables=subpath(input.runs, parent=True),
            results=STUDY.results,
            folder=subpath(output.manifest, parent=True),
            code=digest("check_influence"),
        shell:
            "python -m scripts.check_influence"
            " --study {params.study:q}"
            " --results {params.results:q}"
            " --tables {params.tables:q}"
            " --folder {params.folder:q}"
            " > {log:q} 2>&1"
