"""mlp: the classifier experiment, a job per point of its sweeps; nothing where the study has no `classifier`.

in   IDX files of images, or the digits of scikit-learn
out  mlp/{point}/accuracy.json, mlp.manifest.json
"""

if STUDY.classifier:

    rule mlp:
        input:
            unpack(lambda w: local_images(STUDY.classifier.points[w.point].data)),
        output:
            accuracy="<results>/mlp/{point}/accuracy.json",
            manifest="<results>/mlp/{point}/mlp.manifest.json",
        log:
            "<logs>/mlp/{point}.log",
        benchmark:
            "<benchmarks>/mlp/{point}.tsv"
        wildcard_constraints:
            point="|".join(map(re.escape, STUDY.classifier.points)),
        localrule: "mlp" in STUDY.execution.local
        conda:
            environment("mlp")
        threads: STUDY.execution.threads
        resources:
            **hardware("mlp"),
        params:
            settings=lambda w: STUDY.classifier.points[w.point].text,
            images=lambda w: image_flags(STUDY.classifier.points[w.point].data),
            threads=STUDY.execution.threads,
            code=digest("mlp"),
        shell:
            "python -m scripts.mlp"
            " --point {wildcards.point:q}"
            " --settings {params.settings:q}"
            " {params.images:q}"
            " --accuracy {output.accuracy:q}"
            " --threads {params.threads:q}"
            " --manifest {output.manifest:q}"
            " > {log:q} 2>&1"
