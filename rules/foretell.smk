"""foretell: did what `influence` foretold come true? For studies that have an `influence`.

in   tables/runs.csv, every influence.json
out  foretell/pairs.csv, summary.csv, foretell.svg, foretell.manifest.json
"""

if STUDY.influence:

    rule foretell:
        input:
            runs="<results>/tables/runs.csv",
            influence=[f"{folder}/influence.json" for folder in STUDY.foretold],
        output:
            tables=["<results>/foretell/pairs.csv", "<results>/foretell/summary.csv"],
            figure=report("<results>/foretell/foretell.svg", caption="../report/foretell.rst", category="Foretold"),
            manifest="<results>/foretell/foretell.manifest.json",
        log:
            "<logs>/foretell/foretell.log",
        benchmark:
            "<benchmarks>/foretell/foretell.tsv"
        localrule: "foretell" in STUDY.execution.local
        conda:
            environment("foretell")
        threads: STUDY.execution.threads
        resources:
            **hardware("foretell"),
        params:
            study=STUDY.text,
            tables=subpath(input.runs, parent=True),
            results=STUDY.results,
            folder=subpath(output.manifest, parent=True),
            code=digest("foretell"),
        shell:
            "python -m scripts.foretell"
            " --study {params.study:q}"
            " --results {params.results:q}"
            " --tables {params.tables:q}"
            " --folder {params.folder:q}"
            " > {log:q} 2>&1"
