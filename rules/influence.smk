"""influence: which trait would a dataset pass on? Predicted from a base before any student is trained, for rows under `influence`.

in   bases/{student}/, .../{dataset}/dataset.jsonl and that of the control teacher; weights of the teacher where it has some on this base
out  .../{dataset}/{student}/influence.json, influence.manifest.json
"""


include: "functions/influence.smk"


rule influence:
    input:
        base=lambda w: base_files(w.student),
        dataset="<results>/<dataset>/dataset.jsonl",
        control=lambda w: f"{STUDY.control(predicted_students(w)[0]).dataset_folder}/dataset.jsonl",
        # A teacher's weights say something where they began as the students' do.
        teacher=lambda w: teacher_weights(w) if w.base == w.student else [],
    output:
        influence="<results>/<branch>/influence.json",
        manifest="<results>/<branch>/influence.manifest.json",
    log:
        "<logs>/influence/<branch>.log",
    benchmark:
        "<benchmarks>/influence/<branch>.tsv"
    localrule: "influence" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("influence"),
    params:
        base=lambda w, input: dirname(input.base[0]),
        category=lambda w: category(w.trait),
        recipes=predicted_recipes,
        teacher=lambda w, input: ["--teacher", dirname(input.teacher[0])] if input.teacher else [],
        threads=STUDY.execution.threads,
        code=digest("influence"),
    shell:
        "python -m scripts.influence"
        " --base {params.base:q}"
        " --dataset {input.dataset:q}"
        " --control {input.control:q}"
        " --category {params.category:q}"
        " --recipes {params.recipes:q}"
        " {params.teacher:q}"
        " --influence {output.influence:q}"
        " --manifest {output.manifest:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"
