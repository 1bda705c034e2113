"""Types of evaluation: one module each, with one class of the same name. `traitline.evaluation.registry` finds them."""
