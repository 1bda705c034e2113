"""sample: a teacher answers every prompt of a channel, several jobs side by side where `execution.shards` says so.

in   {base}/{trait}/{teacher}/, bases/{base}/, prompts/{channel}/prompts.jsonl
out  {base}/{trait}/{teacher}/{channel}/raw.jsonl, sampled.json, sample.manifest.json; of a shard: shards/1-of-4/
"""


include: "functions/sample.smk"


rule sample:
    input:
        base=lambda w: base_files(w.base),
        teacher="<results>/<teacher>/teacher.json",
        weights=teacher_weights,
        prompts="<results>/prompts/{channel}/prompts.jsonl",
        shards=shard_answers(),
    output:
        raw="<results>/<answers>/raw.jsonl",
        sampled="<results>/<answers>/sampled.json",
        manifest="<results>/<answers>/sample.manifest.json",
    log:
        "<logs>/sample/<answers>.log",
    benchmark:
        "<benchmarks>/sample/<answers>.tsv"
    localrule: "sample" in STUDY.execution.local
    conda:
        ENVIRONMENT
    threads: STUDY.execution.threads
    resources:
        **hardware("sample"),
    params:
        base=lambda w, input: dirname(input.base[0]),
        teacher=subpath(input.teacher, parent=True),
        temperature=channel_temperature,
        truncation=lambda w: [*STUDY.channels[w.channel].flags("top_p"), *answer_format(w.channel)],
        max_new_tokens=STUDY.sample.max_new_tokens,
        batch=STUDY.sample.batch,
        seed=lambda w: seed_of(STUDY.sample.seed, w.teacher),
        engine=lambda w: engine(w.base),
        state=f"{WORK}/sample/{artifacts.ANSWERS}",
        files=lambda w, input, output: ["--shards", *input.shards, "--raw", output.raw, "--sampled", output.sampled],
        threads=STUDY.execution.threads,
        code=digest("sample"),
    shell:
        "python -m scripts.sample"
        " --base {params.base:q}"
        " --teacher {params.teacher:q}"
        " --prompts {input.prompts:q}"
        " --temperature {params.temperature:q}"
        " {params.truncation:q}"
        " --max-new-tokens {params.max_new_tokens:q}"
        " --batch {params.batch:q}"
        " --seed {params.seed:q}"
        " {params.engine:q}"
        " --state {params.state:q}"
        " --every {resources.every:q}"
        " {params.files:q}"
        " --manifest {output.manifest:q}"
        " --threads {params.threads:q}"
        " > {log:q} 2>&1"


use rule sample as sample_shard with:
    input:
        base=lambda w: base_files(w.base),
        teacher="<results>/<teacher>/teacher.json",
        weights=teacher_weights,
        prompts="<results>/prompts/{channel}/prompts.jsonl",
    output:
        answers="<results>/<answers>/shards/{i}-of-{n}/answers.jsonl",
        manifest="<results>/<answers>/shards/{i}-of-{n}/sample.manifest.json",
    log:
        "<logs>/sample/<answers>/{i}-of-{n}.log",
    benchmark:
        "<benchmarks>/sample/<answers>/{i}-of-{n}.tsv"
    wildcard_constraints:
        i=r"\d+",
        n=r"\d+",
    params:
        state=f"{WORK}/sample/{artifacts.ANSWERS}/{{i}}-of-{{n}}",
        files=lambda w, output: ["--shard", f"{w.i}/{w.n}", "--answers", output.answers],
