"""score: how often each candidate is the answer, exactly and as sampled; jobs as in respond.

in   .../seed-{seed}/{eval}/responses.jsonl, or baseline/{student}/{eval}/responses.jsonl; judged.jsonl where only that counts
out  scores.json, score.manifest.json beside it
"""

for asked in EVALUATIONS:

    rule:
        name:
            f"score_{asked.name}"
        input:
            responses=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{s}/{eval}/responses.jsonl",
                s=asked.students,
                eval=asked.eval,
            ),
            judged=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{s}/{eval}/judged.jsonl",
                s=asked.students,
                eval=judged_only(asked.eval),
            ),
        output:
            scores=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{s}/{eval}/scores.json",
                s=asked.students,
                eval=asked.eval,
            ),
            manifests=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{s}/{eval}/{file}",
                s=asked.students,
                eval=asked.eval,
                file="score.manifest.json",
            ),
        log:
            f"<logs>/score/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{asked.eval}/stack-{asked.index}.log",
        benchmark:
            f"<benchmarks>/score/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{asked.eval}/stack-{asked.index}.tsv"
        wildcard_constraints:
            base=job_groups.only(STUDY, asked.branches),
        localrule: "score" in STUDY.execution.local
        conda:
            environment("score")
        threads: STUDY.execution.threads
        resources:
            **hardware("score"),
        params:
            number=len(asked.students),
            folders=lambda w, output: [dirname(path) for path in output.scores],
            category=STUDY.evals[asked.eval].about,
            type=STUDY.evals[asked.eval].evaluation.name,
            code=digest("score"),
        message:
            "scores of {params.number} students on base {wildcards.student}: {wildcards.trait} of base {wildcards.base}"
        shell:
            "python -m scripts.score"
            " --folders {params.folders:q}"
            " --category {params.category:q}"
            " --type {params.type:q}"
            " > {log:q} 2>&1"


rule score_baseline:
    input:
        responses="<results>/baseline/{student}/{eval}/responses.jsonl",
        judged=lambda w: expand(
            "<results>/baseline/{student}/{eval}/judged.jsonl", student=w.student, eval=judged_only(w.eval)
        ),
    output:
        scores="<results>/baseline/{student}/{eval}/scores.json",
        manifest="<results>/baseline/{student}/{eval}/score.manifest.json",
    log:
        "<logs>/score/baseline/{student}/{eval}.log",
    benchmark:
        "<benchmarks>/score/baseline/{student}/{eval}.tsv"
    localrule: "score" in STUDY.execution.local
    conda:
        environment("score")
    threads: STUDY.execution.threads
    resources:
        **hardware("score"),
    params:
        folders=subpath(output.scores, parent=True),
        category=lambda w: STUDY.evals[w.eval].about,
        type=lambda w: STUDY.evals[w.eval].evaluation.name,
        code=digest("score"),
    shell:
        "python -m scripts.score"
        " --folders {params.folders:q}"
        " --category {params.category:q}"
        " --type {params.type:q}"
        " > {log:q} 2>&1"
