"""respond: students answer the questions of an evaluation, the students of one dataset and base in one job.

in   bases/{student}/, .../{dataset}/{student}/{recipe}/seed-{seed}/; sources/{source}/rows.jsonl where the questions are from outside
out  .../seed-{seed}/{eval}/responses.jsonl, respond.manifest.json; for untouched bases baseline/{student}/{eval}/
"""


rule respond:
    input:
        lambda w: distinct(f"{run.evaluation_folder}/responses.jsonl" for run in STUDY.runs),
        lambda w: [f"{dirname(scores)}/responses.jsonl" for scores in baselines(STUDY).values()],
    message:
        "all answers"


for asked in EVALUATIONS:

    rule:
        name:
            f"respond_{asked.name}"
        input:
            base=lambda w: base_files(w.student),
            questions=source_rows(STUDY.evals[asked.eval].source),
            students=[
                f"<results>/<branch>/{student}/{file}"
                for student in asked.students
                for file in student_weights(dirname(student))
            ],
        output:
            responses=[f"<results>/{folder}/responses.jsonl" for folder in asked.folders],
            manifests=[f"<results>/{folder}/respond.manifest.json" for folder in asked.folders],
        log:
            f"<logs>/respond/{asked.path}.log",
        benchmark:
            f"<benchmarks>/respond/{asked.path}.tsv"
        wildcard_constraints:
            base=job_groups.only(STUDY, asked.branches),
        localrule: "respond" in STUDY.execution.local
        conda:
            ENVIRONMENT
        threads: STUDY.execution.threads
        resources:
            **hardware("respond"),
        params:
            base=lambda w, input: dirname(input.base[0]),
            number=len(asked.students),
            students=lambda w, output: [dirname(dirname(path)) for path in output.responses],
            eval=asked.eval,
            settings=lambda w, asked=asked: word(STUDY.evals[asked.eval].text),  # a function: its braces are no wildcards
            engine=lambda w: engine(w.student),
            state=f"{WORK}/respond/{asked.path}",
            threads=STUDY.execution.threads,
            code=digest("respond"),
        message:
            "answers of {params.number} students on base {wildcards.student}: {wildcards.trait} of base {wildcards.base}"
        shell:
            "python -m scripts.respond"
            " --base {params.base:q}"
            " --students {params.students:q}"
            " --eval {params.eval:q}"
            " --settings {params.settings:q}"
            " --questions {input.questions:q}"
            " {params.engine:q}"
            " --state {params.state:q}"
            " --threads {params.threads:q}"
            " > {log:q} 2>&1"


rule respond_baseline:
    input:
        base=lambda w: base_files(w.student),
        questions=lambda w: source_rows(STUDY.evals[w.eval].source),
    output:
        responses="<results>/<baseline>/responses.jsonl",
        manifest="<results>/<baseline>/respond.manifest.json",
    log:
        "<logs>/respond/<baseline>.log",
    benchmark:
        "<benchmarks>/respond/<baseline>.tsv"
    localrule: "respond" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("respond"),
    params:
        base=lambda w, input: dirname(input.base[0]),
        settings=lambda w: word(STUDY.evals[w.eval].text),
        engine=lambda w: engine(w.student),
        folder=subpath(output.responses, parent=True),
        threads=STUDY.execution.threads,
        code=digest("respond"),
    shell:
        "python -m scripts.respond"
        " --base {params.base:q}"
        " --eval {wildcards.eval:q}"
        " --settings {params.settings:q}"
        " --questions {input.questions:q}"
        " {params.engine:q}"
        " --out {params.folder:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"
