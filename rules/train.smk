"""train: students are fine-tuned on a dataset, a stack of seeds in one job (traitline/study/job_groups.py); on open weights also
students of several datasets and recipes in one forward pass, where the study says `together`.

in   bases/{student}/, {base}/{trait}/{teacher}/{channel}/{dataset}/dataset.jsonl
out  .../{dataset}/{student}/{recipe}/seed-{seed}/      an adapter or a model folder, train.json, train.manifest.json
"""

for stack in STACKS:

    rule:
        name:
            f"train_{stack.name}"
        input:
            base=lambda w: base_files(w.student),
            dataset="<results>/{base}/{trait}/{teacher}/{channel}/{dataset}/dataset.jsonl",
        output:
            weights=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{recipe}/seed-{seed}/{file}",
                recipe=stack.recipe,
                seed=stack.seeds,
                file=WEIGHTS[STUDY.recipes[stack.recipe].trains],
            ),
            facts=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{recipe}/seed-{seed}/train.json",
                recipe=stack.recipe,
                seed=stack.seeds,
            ),
            manifests=expand(
                "<results>/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{recipe}/seed-{seed}/{file}",
                recipe=stack.recipe,
                seed=stack.seeds,
                file="train.manifest.json",
            ),
        log:
            f"<logs>/train/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{stack.recipe}/stack-{stack.index}.log",
        benchmark:
            f"<benchmarks>/train/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{stack.recipe}/stack-{stack.index}.tsv"
        wildcard_constraints:
            base=job_groups.only(STUDY, stack.branches),
        localrule: "train" in STUDY.execution.local
        conda:
            environment("train")
        threads: STUDY.execution.threads * STUDY.execution.processes("train")
        resources:
            **hardware("train"),
        params:
            base=lambda w, input: dirname(input.base[0]),
            recipe=stack.recipe,
            settings=STUDY.recipes[stack.recipe].text,
            seeds=list(stack.seeds),
            engine=lambda w: engine(w.student),
            processes=lambda w: processes("train", w.student),
            folder=lambda w, output: dirname(dirname(output.manifests[0])),
            state=f"{STUDY.place('work')}/train/{{base}}/{{trait}}/{{teacher}}/{{channel}}/{{dataset}}/{{student}}/{stack.recipe}/stack-{stack.index}",
            threads=STUDY.execution.threads,
            code=digest("train"),
        message:
            "{params.recipe} students {params.seeds} on base {wildcards.student}: {wildcards.trait} of base {wildcards.base}"
        shell:
            "python -m scripts.train"
            " --base {params.base:q}"
            " --dataset {input.dataset:q}"
            " --recipe {params.recipe:q}"
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
            datasets=distinct(f"{run.dataset_folder}/dataset.jsonl" for run in stack.runs),
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
            datasets=[f"{run.dataset_folder}/dataset.jsonl" for run in stack.runs],
            recipes=[run.recipe for run in stack.runs],
            settings=[STUDY.recipes[run.recipe].text for run in stack.runs],
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
            " --dataset {params.datasets:q}"
            " --recipe {params.recipes:q}"
            " --settings {params.settings:q}"
            " --seeds {params.seeds:q}"
            " {params.engine:q}"
            " {params.processes:q}"
            " --folder {params.folders:q}"
            " --state {params.state:q}"
            " --every {resources.every:q}"
            " --threads {params.threads:q}"
            " > {log:q} 2>&1"
