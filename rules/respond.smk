"""respond: students answer the questions of an evaluation, the students of one dataset and base in one job.

in   bases/{student}/, .../{dataset}/{student}/{recipe}/seed-{seed}/; sources/{source}/rows.jsonl where the questions are from outside
out  .../seed-{seed}/{eval}/responses.jsonl, respond.manifest.json; for untouched bases baseline/{student}/{eval}/
"""

for asked in EVALUATIONS:

    rule:
        name:
            f"respond_{asked.name}"
        input:
            base=lambda w: base_files(w.student),
            questions=outside(STUDY.evals[asked.eval].source),
            students=[
                f"<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{student}/{file}"
                for student in asked.students
                for file in WEIGHTS[STUDY.recipes[student.split("/")[0]].trains]
            ],
        output:
            responses=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{s}/{eval}/responses.jsonl",
                s=asked.students,
                eval=asked.eval,
            ),
            manifests=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{s}/{eval}/{file}",
                s=asked.students,
                eval=asked.eval,
                file="respond.manifest.json",
            ),
        log:
            f"<logs>/respond/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{asked.eval}/stack-{asked.index}.log",
        benchmark:
            f"<benchmarks>/respond/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{asked.eval}/stack-{asked.index}.tsv"
        wildcard_constraints:
            base=job_groups.only(STUDY, asked.branches),
        localrule: "respond" in STUDY.execution.local
        conda:
            environment("respond")
        threads: STUDY.execution.threads
        resources:
            **hardware("respond"),
        params:
            base=lambda w, input: dirname(input.base[0]),
            number=len(asked.students),
            students=lambda w, output: [dirname(dirname(path)) for path in output.responses],
            eval=asked.eval,
            settings=STUDY.evals[asked.eval].text,
            engine=lambda w: engine(w.student),
            state=f"{STUDY.place('work')}/respond/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{asked.eval}/stack-{asked.index}",
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
        questions=lambda w: outside(STUDY.evals[w.eval].source),
    output:
        responses="<results>/baseline/{student}/{eval}/responses.jsonl",
        manifest="<results>/baseline/{student}/{eval}/respond.manifest.json",
    log:
        "<logs>/respond/baseline/{student}/{eval}.log",
    benchmark:
        "<benchmarks>/respond/baseline/{student}/{eval}.tsv"
    localrule: "respond" in STUDY.execution.local
    conda:
        environment("respond")
    threads: STUDY.execution.threads
    resources:
        **hardware("respond"),
    params:
        base=lambda w, input: dirname(input.base[0]),
        settings=lambda w: STUDY.evals[w.eval].text,
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
