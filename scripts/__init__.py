"""One program per stage; `python -m scripts.<stage> --help` describes each."""
