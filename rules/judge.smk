"""judge: how well-meaning and how coherent answers are, by the judge under `judge`; jobs as in respond, or sample.

in   .../seed-{seed}/{eval}/responses.jsonl, baseline/{student}/{eval}/responses.jsonl, or the raw.jsonl of a channel that is
     filtered by a judge; bases/{base}/ where open weights judge
out  judged.jsonl, judged.json, judge.manifest.json beside them
"""

for asked in EVALUATIONS:
    if asked.eval not in JUDGED:
        continue

    rule:
        name:
            f"judge_{asked.name}"
        input:
            base=judge_base(),
            responses=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{s}/{eval}/responses.jsonl",
                s=asked.students,
                eval=asked.eval,
            ),
        output:
            judged=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{s}/{eval}/{file}",
                s=asked.students,
                eval=asked.eval,
                file=["judged.json", "judged.jsonl"],
            ),
            manifests=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{s}/{eval}/{file}",
                s=asked.students,
                eval=asked.eval,
                file="judge.manifest.json",
            ),
        log:
            f"<logs>/judge/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{asked.eval}/stack-{asked.index}.log",
        benchmark:
            f"<benchmarks>/judge/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{asked.eval}/stack-{asked.index}.tsv"
        wildcard_constraints:
            base=job_groups.only(STUDY, asked.branches),
        localrule: judge_local()
        conda:
            environment("judge")
        threads: STUDY.execution.threads
        resources:
            **hardware("judge"),
        params:
            number=len(asked.students),
            folders=lambda w, output: [dirname(path) for path in output.manifests],
            judge=STUDY.judge.settings,
            by=judge_flags,
            state=f"{STUDY.place('work')}/judge/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{asked.eval}/stack-{asked.index}",
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
        responses="<results>/baseline/{student}/{eval}/responses.jsonl",
    output:
        judged="<results>/baseline/{student}/{eval}/judged.json",
        answers="<results>/baseline/{student}/{eval}/judged.jsonl",
        manifest="<results>/baseline/{student}/{eval}/judge.manifest.json",
    log:
        "<logs>/judge/baseline/{student}/{eval}.log",
    benchmark:
        "<benchmarks>/judge/baseline/{student}/{eval}.tsv"
    localrule: judge_local()
    conda:
        environment("judge")
    threads: STUDY.execution.threads
    resources:
        **hardware("judge"),
    params:
        folders=subpath(output.manifest, parent=True),
        judge=STUDY.judge.settings if STUDY.judge else "",
        by=judge_flags,
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
        raw="<results>/{base}/{trait}/{teacher}/{channel}/raw.jsonl",
    output:
        judged="<results>/{base}/{trait}/{teacher}/{channel}/judged.json",
        answers="<results>/{base}/{trait}/{teacher}/{channel}/judged.jsonl",
        manifest="<results>/{base}/{trait}/{teacher}/{channel}/judge.manifest.json",
    log:
        "<logs>/judge/{base}/{trait}/{teacher}/{channel}.log",
    benchmark:
        "<benchmarks>/judge/{base}/{trait}/{teacher}/{channel}.tsv"
    params:
        answers=["--answers", "raw"],
