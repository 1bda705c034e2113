"""train: students are fine-tuned on a view, a stack of seeds in one job (traitline/stacks.py); on open weights also
students of several views and kinds in one forward pass, where the study says `together`.

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
        threads: STUDY.execution.threads * STUDY.execution.processes("train")
        resources:
            **hardware("train"),
        params:
            base=lambda w, input: dirname(input.base[0]),
            kind=stack.kind,
            settings=STUDY.kinds[stack.kind].text,
            seeds=list(stack.seeds),
            engine=lambda w: engine(w.student),
            processes=lambda w: processes("train", w.student),
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
            " {params.processes:q}"
            " --folder {params.folder:q}"
            " --state {params.state:q}"
            " --every {resources.every:q}"
            " --threads {params.threads:q}"
            " > {log:q} 2>&1"


for stack in TOGETHER:

    rule:
        name:
            f"train_{stack.name}"
        input:
            base=base_files(stack.base),
            views=distinct(f"{run.view_folder}/view.jsonl" for run in stack.runs),
        output:
            weights=[f"{run.folder}/{file}" for run in stack.runs for file in ADAPTER],
            facts=[f"{run.folder}/train.json" for run in stack.runs],
            manifests=[f"{run.folder}/train.manifest.json" for run in stack.runs],
        log:
            f"<logs>/train/together/{stack.base}/seed-{stack.seed}/stack-{stack.index}.log",
        benchmark:
            f"<benchmarks>/train/together/{stack.base}/seed-{stack.seed}/stack-{stack.index}.tsv"
        localrule: "train" in STUDY.execution.local
        conda:
            environment("train")
        threads: STUDY.execution.threads * STUDY.execution.processes("train")
        resources:
            **hardware("train"),
        params:
            base=lambda w, input: dirname(input.base[0]),
            views=[f"{run.view_folder}/view.jsonl" for run in stack.runs],
            kinds=[run.kind for run in stack.runs],
            settings=[STUDY.kinds[run.kind].text for run in stack.runs],
            seeds=[run.seed for run in stack.runs],
            engine=engine(stack.base),
            processes=processes("train", stack.base),
            folders=[dirname(run.folder) for run in stack.runs],
            state=f"{STUDY.place('work')}/train/together/{stack.base}/seed-{stack.seed}/stack-{stack.index}",
            threads=STUDY.execution.threads,
            code=digest("train"),
        message:
            "students {params.folders} of seeds {params.seeds}, together"
        shell:
            "python -m scripts.train"
            " --together"
            " --base {params.base:q}"
            " --view {params.views:q}"
            " --kind {params.kinds:q}"
            " --settings {params.settings:q}"
            " --seeds {params.seeds:q}"
            " {params.engine:q}"
            " {params.processes:q}"
            " --folder {params.folders:q}"
            " --state {params.state:q}"
            " --every {resources.every:q}"
            " --threads {params.threads:q}"
            " > {log:q} 2>&1"
