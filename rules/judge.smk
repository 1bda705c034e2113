"""judge: how well-meaning and how coherent answers are, and how far the judge agrees with people. Under `judge`.

in   every responses.jsonl of the evaluations under `judge`, bases/{base}/ where open weights judge
out  judge/judged.csv, answers.jsonl, judge.manifest.json
"""

if STUDY.judge:

    rule judge:
        input:
            base=base_files(STUDY.judge.base) if STUDY.judge.base else [],
            responses=distinct(f"{run.folder}/{run.eval}/responses.jsonl" for run in STUDY.judged),
        output:
            table=report("<results>/judge/judged.csv", caption="../report/judge.rst", category="Tables"),
            answers="<results>/judge/answers.jsonl",
            manifest="<results>/judge/judge.manifest.json",
        log:
            "<logs>/judge/judge.log",
        benchmark:
            "<benchmarks>/judge/judge.tsv"
        localrule: "judge" in STUDY.execution.local or not STUDY.judge.base
        conda:
            environment("judge")
        threads: STUDY.execution.threads
        resources:
            **hardware("judge"),
        params:
            study=STUDY.text,
            results=STUDY.results,
            base=lambda w, input: ["--base", dirname(input.base[0])] if input.base else [],
            engine=["--engine", STUDY.engine.text] if STUDY.judge.base else [],
            folder=subpath(output.manifest, parent=True),
            threads=STUDY.execution.threads,
            code=digest("judge"),
        shell:
            "python -m scripts.judge"
            " --study {params.study:q}"
            " --results {params.results:q}"
            " {params.base:q}"
            " {params.engine:q}"
            " --folder {params.folder:q}"
            " --threads {params.threads:q}"
            " > {log:q} 2>&1"
