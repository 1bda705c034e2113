"""classifier: the classifier experiment, a job per point of its sweeps; nothing where the study has no `classifier`.

in   IDX files of images, or the digits of scikit-learn
out  classifier/{point}/accuracy.json, classifier.manifest.json
"""


include: "functions/classifier.smk"


if STUDY.classifier:

    rule classifier:
        input:
            unpack(lambda w: image_files(w.point)),
        output:
            accuracy="<results>/classifier/{point}/accuracy.json",
            manifest="<results>/classifier/{point}/classifier.manifest.json",
        log:
            "<logs>/classifier/{point}.log",
        benchmark:
            "<benchmarks>/classifier/{point}.tsv"
        wildcard_constraints:
            point=among(STUDY.classifier.points),
        localrule: "classifier" in STUDY.execution.local
        conda:
            ENVIRONMENT
        threads: STUDY.execution.threads
        resources:
            **hardware("classifier"),
        params:
            settings=lambda w: STUDY.classifier.points[w.point].text,
            images=lambda w: image_flags(w.point),
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
