"""summarise: tidy tables over runs; the run is the unit of every interval.

in   every scores.json, judged.json, train.json, sampled.json, filtered.json and teacher.json of the study
out  tables/effects.csv, runs.csv, students.csv, filters.csv, confusion.csv, tests.csv, checks.csv, judged.csv, summarise.manifest.json
"""


rule summarise:
    input:
        scores=distinct(run.scores for run in STUDY.runs),
        baselines=baselines(STUDY).values(),
        judged=list(STUDY.judged),
        training=distinct(f"{run.folder}/train.json" for run in STUDY.runs),
        teachers=distinct(f"{run.teacher_folder}/teacher.json" for run in STUDY.runs),
        sampled=distinct(f"{run.answers_folder}/sampled.json" for run in STUDY.runs),
        counts=distinct(f"{run.channel_folder}/filtered.json" for run in STUDY.runs),
    output:
        tables=report(
            expand("<results>/tables/{table}", table=TABLES),
            caption="../report/tables.rst",
            category="Tables",
        ),
        manifest="<results>/tables/summarise.manifest.json",
    log:
        "<logs>/summarise/tables.log",
    benchmark:
        "<benchmarks>/summarise/tables.tsv"
    localrule: "summarise" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("summarise"),
    params:
        study=STUDY_WORD,
        runs=len({run.folder for run in STUDY.runs}),
        results=lambda w, output: dirname(dirname(output.manifest)),
        tables=subpath(output.manifest, parent=True),
        code=digest("summarise"),
    message:
        "tables of {params.runs} students"
    shell:
        "python -m scripts.summarise"
        " --study {params.study:q}"
        " --results {params.results:q}"
        " --tables {params.tables:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
