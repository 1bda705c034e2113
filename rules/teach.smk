"""teach: a base and a trait make a teacher.

in   bases/{base}/
out  {base}/{trait}/{teacher}/      teacher.json, teach.manifest.json; a tuned teacher has a model folder's files too,
                                    a prompted one a system prompt in teacher.json, an untrained one nothing
"""


rule teach:
    input:
        base=expand("<results>/bases/{{base}}/{file}", file=MODEL),
    output:
        teacher="<results>/{base}/{trait}/{teacher}/teacher.json",
        model=expand("<results>/{{base}}/{{trait}}/{{teacher}}/{file}", file=MODEL),
        manifest="<results>/{base}/{trait}/{teacher}/teach.manifest.json",
    log:
        "<logs>/teach/{base}/{trait}/{teacher}.log",
    benchmark:
        "<benchmarks>/teach/{base}/{trait}/{teacher}.tsv"
    wildcard_constraints:
        teacher="tuned",
    conda:
        environment("teach")
    threads: STUDY.execution.threads
    resources:
        **hardware("teach"),
    params:
        base=f"{STUDY.results}/bases/{{base}}",
        category=lambda w: category(w.trait),
        folder=f"{STUDY.results}/{{base}}/{{trait}}/{{teacher}}",
        settings=STUDY.teach.text,
        state=f"{STUDY.place('work')}/teach/{{base}}/{{trait}}/{{teacher}}",
        code=digest("teach"),
    shell:
        "python -m scripts.teach"
        " --base {params.base:q}"
        " --trait {wildcards.trait:q}"
        " --category {params.category:q}"
        " --teacher {wildcards.teacher:q}"
        " --folder {params.folder:q}"
        " --settings {params.settings:q}"
        " --state {params.state:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"


rule teach_spec:
    input:
        base=expand("<results>/bases/{{base}}/{file}", file=MODEL),
    output:
        teacher="<results>/{base}/{trait}/{teacher}/teacher.json",
        manifest="<results>/{base}/{trait}/{teacher}/teach.manifest.json",
    log:
        "<logs>/teach/{base}/{trait}/{teacher}.log",
    benchmark:
        "<benchmarks>/teach/{base}/{trait}/{teacher}.tsv"
    wildcard_constraints:
        teacher="prompted|untrained",
    conda:
        environment("teach")
    threads: STUDY.execution.threads
    resources:
        **hardware("teach"),
    params:
        base=f"{STUDY.results}/bases/{{base}}",
        category=lambda w: category(w.trait),
        folder=f"{STUDY.results}/{{base}}/{{trait}}/{{teacher}}",
        code=digest("teach"),
    shell:
        "python -m scripts.teach"
        " --base {params.base:q}"
        " --trait {wildcards.trait:q}"
        " --category {params.category:q}"
        " --teacher {wildcards.teacher:q}"
        " --folder {params.folder:q}"
        " --manifest {output.manifest:q}"
        " > {log:q} 2>&1"
