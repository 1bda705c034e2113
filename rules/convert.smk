"""convert: a GGUF file becomes a model folder in Hugging Face layout; nothing where no base is one.

in   the file, or all parts of a split one, as `bases` of the config say; for a base with `tuned` that teacher's adapter
out  converted/{base}/      a model folder, convert.manifest.json, which states where it comes from
"""


include: "functions/convert.smk"


if CONVERTED:

    rule convert:
        input:
            gguf=lambda w: STUDY.bases[w.base].gguf_parts,
            adapter=lambda w: merged_adapter(w.base),
        output:
            model=expand("<results>/converted/{{base}}/{file}", file=MODEL_FILES),
            manifest="<results>/converted/{base}/convert.manifest.json",
        log:
            "<logs>/convert/{base}.log",
        benchmark:
            "<benchmarks>/convert/{base}.tsv"
        wildcard_constraints:
            base=among(CONVERTED),
        localrule: "convert" in STUDY.execution.local
        conda:
            ENVIRONMENT
        threads: STUDY.execution.threads
        resources:
            **hardware("convert"),
        params:
            origin=lambda w: STUDY.bases[w.base].flags("package", "sha256", "noise", "seed", "times"),
            adapter=lambda w: ["--adapter", STUDY.moving_teacher(w.base)] if STUDY.bases[w.base].tuned else [],
            folder=subpath(output.manifest, parent=True),
            code=digest("convert"),
        shell:
            "python -m scripts.convert"
            " --name {wildcards.base:q}"
            " --gguf {input.gguf:q}"
            " {params.origin:q} {params.adapter:q}"
            " --folder {params.folder:q}"
            " --manifest {output.manifest:q}"
            " > {log:q} 2>&1"
