"""train: students are fine-tuned on a dataset, all recipes of a row and a stack of seeds in one job
(traitline/study/job_groups.py); on open weights also students of several datasets and recipes in one forward pass, where the study
says `together`.

in   bases/{student}/, {base}/{trait}/{teacher}/{channel}/{dataset}/dataset.jsonl
out  .../{dataset}/{student}/{recipe}/seed-{seed}/      an adapter or a model folder, train.json, train.manifest.json
"""


include: "functions/train.smk"


rule train:
    input:
        lambda w: distinct(f"{run.folder}/train.json" for run in STUDY.runs),
    message:
        "all students"


for stack in [*job_groups.trainings(STUDY), *job_groups.together(STUDY)]:

    rule:
        name:
            f"train_{stack.name}"
        input:
            base=base_files(stack.base) if stack.base else lambda w: base_files(w.student),
            datasets=distinct(f"<results>/{path}" for path in stack.datasets),
            teacher=soft_teacher if is_soft(stack.recipes) else [],
            teacher_base=other_base if is_soft(stack.recipes) else [],
        output:
            weights=[
                f"<results>/{folder}/{file}" for folder, recipe in stack.students for file in student_weights(recipe)
            ],
            facts=[f"<results>/{folder}/train.json" for folder, _ in stack.students],
            manifests=[f"<results>/{folder}/train.manifest.json" for folder, _ in stack.students],
        log:
            f"<logs>/train/{stack.path}.log",
        benchmark:
            f"<benchmarks>/train/{stack.path}.tsv"
        wildcard_constraints:
            base=job_groups.only(STUDY, stack.branches),
        localrule: "train" in STUDY.execution.local
        conda:
            ENVIRONMENT
        threads: STUDY.execution.threads * STUDY.execution.processes("train")
        resources:
            **hardware("train"),
        params:
            together=["--together"] if stack.base else [],
            base=lambda w, input: dirname(input.base[0]),
            teacher=lambda w, input: ["--teacher", dirname(input.teacher[0])] if input.teacher else [],
            teacher_base=lambda w, input: (
                ["--teacher-base", dirname(input.teacher_base[0])] if input.teacher_base else []
            ),
            datasets=[f"{STUDY.results}/{path}" for path in stack.datasets],
            recipes=list(stack.recipes),
            settings=[STUDY.recipes[recipe].text for recipe in stack.recipes],
            seeds=list(stack.seeds),
            engine=engine(stack.base) if stack.base else lambda w: engine(w.student),
            processes=processes("train", stack.base) if stack.base else lambda w: processes("train", w.student),
            folders=[f"{STUDY.results}/{folder}" for folder in stack.folders],
            state=f"{WORK}/train/{stack.path}",
            threads=STUDY.execution.threads,
            code=digest("train"),
        message:
            "students of {params.recipes}, seeds {params.seeds}: {params.folders}"
        shell:
            "python -m scripts.train"
            " {params.together:q}"
            " --base {params.base:q}"
            " {params.teacher:q}"
            " {params.teacher_base:q}"
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
