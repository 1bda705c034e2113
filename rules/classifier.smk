"""classifier: the classifier experiment, a job per point of its sweeps; nothing where the study has no `classifier`.

in   IDX files of images, or the digits of scikit-learn
out  classifier/{point}/accuracy.json, classifier.manifest.json
"""

if STUDY.classifier:

    rule classifier:
        input:
            unpack(lambda w: local_images(STUDY.classifier.points[w.point].data)),
        output:
            accuracy="<results>/classifier/{point}/accuracy.json",
            manifest="<results>/classifier/{point}/classifier.manifest.json",
        log:
            "<logs>/classifier/{point}.log",
        benchmark:
            "<benchmarks>/classifier/{point}.tsv"
        wildcard_constraints:
            point="|".join(map(re.escape, STUDY.classifier.points)),
        localrule: "classifier" in STUDY.execution.local
        conda:
            environment("classifier")
        threads: STUDY.execution.threads
        resources:
            **hardware("classifier"),
        params:
            settings=lambda w: STUDY.classifier.points[w.point].text,
            images=lambda w: image_flags(STUDY.classifier.points[w.point].data),
            threads=STUDY.execution.threads,
            code=digest("classifier"),
        shell:
            "python -m scripts.classifier"
            " --point {wildcards.point:q}"
            " --settings {params.settings:q}"
            " {params.images:q}"
            " --accuracy {output.accuracy:q}"
            " --threads {params.threads:q}"
            " --manifest {output.manifest:q}"
            " > {log:q} 2>&1"
