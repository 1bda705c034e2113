"""classifier_summary: table and figures of the classifier experiment.

in   classifier/{point}/accuracy.json of every point
out  classifier/accuracy.csv, classifier.svg, sweeps.svg, classifier_summary.manifest.json
"""

if STUDY.classifier:
    CLASSIFIER_FIGURES = ["classifier.svg", *(["sweeps.svg"] if STUDY.classifier.sweeps else [])]

    rule classifier_summary:
        input:
            accuracy=expand("<results>/classifier/{point}/accuracy.json", point=STUDY.classifier.points),
        output:
            table=report("<results>/classifier/accuracy.csv", caption="../report/classifier.rst", category="Classifier"),
            figures=report(
                expand("<results>/classifier/{file}", file=CLASSIFIER_FIGURES),
                caption="../report/classifier.rst",
                category="Classifier",
            ),
            manifest="<results>/classifier/classifier_summary.manifest.json",
        log:
            "<logs>/classifier_summary/summary.log",
        benchmark:
            "<benchmarks>/classifier_summary/summary.tsv"
        localrule: "classifier_summary" in STUDY.execution.local
        conda:
            ENVIRONMENT
        threads: STUDY.execution.threads
        resources:
            **hardware("classifier_summary"),
        params:
            classifier=word(STUDY.classifier.text),
            folder=subpath(output.manifest, parent=True),
            code=digest("classifier_summary"),
        shell:
            "python -m scripts.classifier_summary"
            " --classifier {params.classifier:q}"
            " --folder {params.folder:q}"
            " --manifest {output.manifest:q}"
            " > {log:q} 2>&1"
