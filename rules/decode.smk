"""decode: a trait read off its teacher's rows in closed form, with the embedding of a base. For rows under `decoder`.

in   bases/{base}/ and the other bases of these rows, teacher.json and {channel}/filtered.jsonl of every teacher on that base
out  decode/{base}/{channel}/candidates.csv, curve.csv, decode.svg, decode.manifest.json
"""


include: "functions/decode.smk"


rule decode:
    input:
        base=expand("<results>/bases/{{base}}/{file}", file=artifacts.FILES["pretrain"]),
        others=lambda w: [path for base in other_readers(w) for path in base_files(base)],
        teachers=lambda w: [f"{folder}/teacher.json" for folder in decoded_teachers(w)],
        filtered=lambda w: [f"{folder}/{w.channel}/filtered.jsonl" for folder in decoded_teachers(w)],
    output:
        tables=expand("<results>/decode/{{base}}/{{channel}}/{file}", file=artifacts.FILES["decode"]),
        manifest="<results>/decode/{base}/{channel}/decode.manifest.json",
    log:
        "<logs>/decode/{base}/{channel}.log",
    benchmark:
        "<benchmarks>/decode/{base}/{channel}.tsv"
    localrule: "decode" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("decode"),
    params:
        base=lambda w, input: dirname(input.base[0]),
        others=reader_folders,
        teachers=decoded_teachers,
        settings=lambda w: STUDY.decoder.flags("ridge", "rows", "draws", "splits", "seed"),
        folder=subpath(output.manifest, parent=True),
        threads=STUDY.execution.threads,
        code=digest("decode"),
    shell:
        "python -m scripts.decode"
        " --base {params.base:q}"
        " {params.others:q}"
        " --teachers {params.teachers:q}"
        " --channel {wildcards.channel:q}"
        " {params.settings:q}"
        " --folder {params.folder:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"
