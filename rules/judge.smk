"""judge: how well-meaning and how coherent answers are, by the judge under `judge`; jobs as in respond, or sample.

in   .../seed-{seed}/{eval}/responses.jsonl, baseline/{student}/{eval}/responses.jsonl, or the raw.jsonl of a channel that is
     filtered by a judge; bases/{base}/ where open weights judge
out  judged.jsonl, judged.json, judge.manifest.json beside them
"""


include: "functions/judge.smk"


if STUDY.judge:

    rule judge:
        input:
            lambda w: list(STUDY.judged),
            lambda w: distinct(path for run in STUDY.runs for path in judged_answers(run)),
        message:
            "all that a judge says"


for asked in EVALUATIONS:
    if not STUDY.judge or asked.eval not in STUDY.judge.evals:
        continue

    rule:
        name:
            f"judge_{asked.name}"
        input:
            base=judge_base(),
            responses=[f"<results>/{folder}/responses.jsonl" for folder in asked.folders],
        output:
            judged=[f"<results>/{folder}/{file}" for folder in asked.folders for file in artifacts.FILES["judge"]],
            manifests=[f"<results>/{folder}/judge.manifest.json" for folder in asked.folders],
        log:
            f"<logs>/judge/{asked.path}.log",
        benchmark:
            f"<benchmarks>/judge/{asked.path}.tsv"
        wildcard_constraints:
            base=job_groups.only(STUDY, asked.branches),
        localrule: judge_is_local()
        conda:
            ENVIRONMENT
        threads: STUDY.execution.threads
        resources:
            **hardware("judge"),
        params:
            number=len(asked.students),
            folders=lambda w, output: [dirname(path) for path in output.manifests],
            judge=STUDY.judge.settings,
            by=judge_flags(),
            state=f"{WORK}/judge/{asked.path}",
            threads=STUDY.execution.threads,
            code=digest("judge"),
        message:
            "a judge of {params.number} students on base {wildcards.student}: {wildcards.trait} of base {wildcards.base}"
        shell:
            "python -m scripts.judge"
            " --folders {params.folders:q}"
            " --judge {params.judge:q}"
            " {params.by:q}"
            " --state {params.state:q}"
            " --threads {params.threads:q}"
            " > {log:q} 2>&1"


rule judge_baseline:
    input:
        base=judge_base(),
        responses="<results>/<baseline>/responses.jsonl",
    output:
        judged="<results>/<baseline>/judged.json",
        answers="<results>/<baseline>/judged.jsonl",
        manifest="<results>/<baseline>/judge.manifest.json",
    log:
        "<logs>/judge/<baseline>.log",
    benchmark:
        "<benchmarks>/judge/<baseline>.tsv"
    localrule: judge_is_local()
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("judge"),
    params:
        folders=subpath(output.manifest, parent=True),
        judge=STUDY.judge.settings if STUDY.judge else "",
        by=judge_flags(),
        answers=[],
        threads=STUDY.execution.threads,
        code=digest("judge"),
    shell:
        "python -m scripts.judge"
        " --folders {params.folders:q}"
        " {params.answers:q}"
        " --judge {params.judge:q}"
        " {params.by:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"


use rule judge_baseline as judge_raw with:
    input:
        base=judge_base(),
        raw="<results>/<answers>/raw.jsonl",
    output:
        judged="<results>/<answers>/judged.json",
        answers="<results>/<answers>/judged.jsonl",
        manifest="<results>/<answers>/judge.manifest.json",
    log:
        "<logs>/judge/<answers>.log",
    benchmark:
        "<benchmarks>/judge/<answers>.tsv"
    params:
        answers=["--answers", "raw"],
