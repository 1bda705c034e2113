"""teach: a base and a trait make a teacher.

in   bases/{base}/; for a student that teaches also its folder; on open weights a corpus from outside
out  {base}/{trait}/{teacher}/      teacher.json, teach.manifest.json; a tuned or steered teacher and a student have a model
                                    folder's files too (on open weights an adapter's), a prompted one a system prompt
                                    in teacher.json, an untrained one nothing
"""


include: "functions/teach.smk"


rule teach:
    input:
        base=lambda w: base_files(w.base),
    output:
        teacher="<results>/<teacher>/teacher.json",
        model=expand("<results>/<teacher>/{file}", file=MODEL_FILES),
        manifest="<results>/<teacher>/teach.manifest.json",
    log:
        "<logs>/teach/<teacher>.log",
    benchmark:
        "<benchmarks>/teach/<teacher>.tsv"
    wildcard_constraints:
        base=among(label for label, base in STUDY.bases.items() if not base.open),
        teacher=r"(tuned|steered)(-\d+)?",
    localrule: "teach" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("teach"),
    params:
        base=lambda w, input: dirname(input.base[0]),
        category=lambda w: category(w.trait),
        folder=subpath(output.manifest, parent=True),
        teacher=lambda w: split_teacher(w.teacher)[0],
        more=[],
        settings=lambda w: teacher_settings(w.teacher),
        engine=lambda w: engine(w.base) if w.trait != NONE else [],
        state=f"{WORK}/teach/{artifacts.TEACHER}",
        threads=STUDY.execution.threads,
        code=digest("teach"),
    shell:
        "python -m scripts.teach"
        " --base {params.base:q}"
        " --trait {wildcards.trait:q}"
        " --category {params.category:q}"
        " --teacher {params.teacher:q} {params.more:q}"
        " --folder {params.folder:q}"
        " --settings {params.settings:q}"
        " {params.engine:q}"
        " --state {params.state:q}"
        " --every {resources.every:q}"
        " --manifest {output.manifest:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"


use rule teach as teach_corpus with:
    input:
        base=lambda w: base_files(w.base),
        corpus=lambda w: source_rows(STUDY.traits[w.trait].corpus),
    output:
        teacher="<results>/<teacher>/teacher.json",
        model=expand("<results>/<teacher>/{file}", file=ADAPTER_FILES),
        manifest="<results>/<teacher>/teach.manifest.json",
    wildcard_constraints:
        base=among(label for label, base in STUDY.bases.items() if base.open),
        teacher=r"tuned(-\d+)?",
    threads: STUDY.execution.threads * STUDY.execution.processes("teach")
    params:
        more=lambda w, input: ["--corpus", *input.corpus, *processes("teach", w.base)],
        settings=lambda w: corpus_settings(w.teacher),


use rule teach as teach_spec with:
    output:
        teacher="<results>/<teacher>/teacher.json",
        manifest="<results>/<teacher>/teach.manifest.json",
    wildcard_constraints:
        base=among(STUDY.bases),
        teacher=r"(prompted|untrained)(-\d+)?",
    resources:
        **hardware("teach", alone=True),
    params:
        settings=lambda w: persona_settings(w.base),


if TEACHING:

    use rule teach as teach_student with:
        input:
            base=expand("<results>/bases/{{base}}/{file}", file=MODEL_FILES),
            world="<results>/bases/{base}/world.json",
            student=lambda w: [
                f"{teaching_student(w).folder}/{file}" for file in student_weights(teaching_student(w).recipe)
            ],
        wildcard_constraints:
            teacher=among(run.as_teacher for run in TEACHING.values()),
        params:
            teacher="student",
            more=lambda w: ["--student", teaching_student(w).folder],
            settings="{}",
