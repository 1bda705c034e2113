"""train: students are fine-tuned on a view, a stack of seeds in one job (traitline/stacks.py).

in   bases/{student}/, {base}/{trait}/{teacher}/{channel}/{view}/view.jsonl
out  .../{view}/{student}/{kind}/seed-{seed}/      an adapter or a model folder, train.json, train.manifest.json
"""

for stack in STACKS:

    rule:
        name:
            f"train_{stack.name}"
        input:
            base=lambda w: base_files(w.student),
            view="<results>/{base}/{trait}/{teacher}/{channel}/{view}/view.jsonl",
        output:
            weights=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{view}}/{{student}}/{kind}/seed-{seed}/{file}",
                kind=stack.kind,
                seed=stack.seeds,
                file=WEIGHTS[STUDY.kinds[stack.kind].trains],
            ),
            facts=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{view}}/{{student}}/{kind}/seed-{seed}/train.json",
                kind=stack.kind,
                seed=stack.seeds,
            ),
            manifests=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{view}}/{{student}}/{kind}/seed-{seed}/{file}",
                kind=stack.kind,
                seed=stack.seeds,
                file="train.manifest.json",
            ),
        log:
            f"<logs>/train/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{view}}/{{student}}/{stack.kind}/stack-{stack.index}.log",
        benchmark:
            f"<benchmarks>/train/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{view}}/{{student}}/{stack.kind}/stack-{stack.index}.tsv"
        wildcard_constraints:
            base=stacks.only(STUDY, stack.branches),
        localrule: "train" in STUDY.execution.local
        conda:
            environment("train")
        threads: STUDY.execution.threads
        resources:
            **hardware("train"),
        params:
            base=lambda w, input: dirname(input.base[0]),
            kind=stack.kind,
            settings=STUDY.kinds[stack.kind].text,
            seeds=list(stack.seeds),
            engine=lambda w: engine(w.student),
            folder=lambda w, output: dirname(dirname(output.manifests[0])),
            state=f"{STUDY.place('work')}/train/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{view}}/{{student}}/{stack.kind}/stack-{stack.index}",
            threads=STUDY.execution.threads,
            code=digest("train"),
        message:
            "{params.kind} students {params.seeds} on base {wildcards.student}: {wildcards.trait} of base {wildcards.base}"
        shell:
            "python -m scripts.train"
            " --base {params.base:q}"
            " --view {input.view:q}"
            " --kind {params.kind:q}"
            " --settings {params.settings:q}"
            " --seeds {params.seeds:q}"
            " {params.engine:q}"
            " --folder {params.folder:q}"
            " --state {params.state:q}"
            " --every {resources.every:q}"
            " --threads {params.threads:q}"
            " > {log:q} 2>&1"
