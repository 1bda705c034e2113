"""influence: which trait would a view pass on? Foretold from a base before any student is trained, for rows under `influence`.

in   bases/{student}/, .../{view}/view.jsonl and that of the control teacher; weights of the teacher where it has some on this base
out  .../{view}/{student}/influence.json, influence.manifest.json
"""


rule influence:
    input:
        base=lambda w: base_files(w.student),
        view="<results>/{base}/{trait}/{teacher}/{channel}/{view}/view.jsonl",
        control=lambda w: f"{STUDY.control(foretold(w)[0]).view_folder}/view.jsonl",
        teacher=foretold_teacher,
    output:
        influence="<results>/{base}/{trait}/{teacher}/{channel}/{view}/{student}/influence.json",
        manifest="<results>/{base}/{trait}/{teacher}/{channel}/{view}/{student}/influence.manifest.json",
    log:
        "<logs>/influence/{base}/{trait}/{teacher}/{channel}/{view}/{student}.log",
    benchmark:
        "<benchmarks>/influence/{base}/{trait}/{teacher}/{channel}/{view}/{student}.tsv"
    localrule: "influence" in STUDY.execution.local
    conda:
        environment("influence")
    threads: STUDY.execution.threads
    resources:
        **hardware("influence"),
    params:
        base=lambda w, input: dirname(input.base[0]),
        category=lambda w: category(w.trait),
        kinds=foretold_kinds,
        teacher=lambda w, input: ["--teacher", dirname(input.teacher[0])] if input.teacher else [],
        threads=STUDY.execution.threads,
        code=digest("influence"),
    shell:
        "python -m scripts.influence"
        " --base {params.base:q}"
        " --view {input.view:q}"
        " --control {input.control:q}"
        " --category {params.category:q}"
        " --kinds {params.kinds:q}"
        " {params.teacher:q}"
        " --influence {output.influence:q}"
        " --manifest {output.manifest:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"
