"""score: how often each candidate is the answer, exactly and as sampled; jobs as in respond.

in   .../seed-{seed}/{eval}/responses.jsonl, or baseline/{student}/{eval}/responses.jsonl; judged.jsonl where only that counts
out  scores.json, score.manifest.json beside it
"""


include: "functions/score.smk"


rule score:
    input:
        lambda w: distinct(run.scores for run in STUDY.runs),
        lambda w: baselines(STUDY).values(),
    message:
        "all scores"


for asked in EVALUATIONS:

    rule:
        name:
            f"score_{asked.name}"
        input:
            responses=[f"<results>/{folder}/responses.jsonl" for folder in asked.folders],
            judged=[f"<results>/{folder}/judged.jsonl" for folder in asked.folders if judged_only(asked.eval)],
        output:
            scores=[f"<results>/{folder}/scores.json" for folder in asked.folders],
            manifests=[f"<results>/{folder}/score.manifest.json" for folder in asked.folders],
        log:
            f"<logs>/score/{asked.path}.log",
        benchmark:
            f"<benchmarks>/score/{asked.path}.tsv"
        wildcard_constraints:
            base=job_groups.only(STUDY, asked.branches),
        localrule: "score" in STUDY.execution.local
        conda:
            ENVIRONMENT
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
        responses="<results>/<baseline>/responses.jsonl",
        judged=lambda w: expand("<results>/baseline/{student}/{eval}/judged.jsonl", **w) if judged_only(w.eval) else [],
    output:
        scores="<results>/<baseline>/scores.json",
        manifest="<results>/<baseline>/score.manifest.json",
    log:
        "<logs>/score/<baseline>.log",
    benchmark:
        "<benchmarks>/score/<baseline>.tsv"
    localrule: "score" in STUDY.execution.local
    conda:
        ENVIRONMENT
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
