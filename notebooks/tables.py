# %% [markdown]
# # The tables of a study
#
# A notebook in percent format: Jupyter (with jupytext), VS Code and PyCharm open it, and `python notebooks/tables.py`
# runs it. It reads the tables of a finished study; docs/reference/tables.md explains their columns.

# %%
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

argument = sys.argv[1] if len(sys.argv) > 1 and Path(sys.argv[1]).is_dir() else "results"
tables = Path(argument, "tables")
effects, tests, runs = (pd.read_csv(tables / f"{name}.csv") for name in ("effects", "tests", "runs"))
# Students that no test counts stand in the tables with a reason, and in no average here.
effects, runs = (t[t["left_out"].isna()] if "left_out" in t else t for t in (effects, runs))

# %% [markdown]
# ## The answer: how far students move towards the trait of their teacher
#
# One row per recipe and trait. `rate` is the mean exact probability of the trait's word, `beside_rate` that of the
# control; `difference` is on the logit scale, with its interval over units.

# %%
answer = tests[tests["comparison"] == "rise"].set_index(["experiment", "recipe", "trait"])
print(answer[["n", "rate", "beside_rate", "difference", "low", "high", "p_holm"]].round(3).to_string())

# %% [markdown]
# ## Base by base
#
# The same data before anything is averaged over bases: the control beside students of a teacher with the trait.

# %%
own = effects[effects["base"] == effects["student"]]
by_base = own.pivot_table(index=["recipe", "trait", "base"], columns="arm", values="rate")
print(by_base.round(3).to_string())

# %% [markdown]
# ## Which words a student names
#
# The mean over seeds for every word that was measured, of the first trait in the table.

# %%
trait = answer.index.get_level_values("trait").difference(["all"])[0]
chosen = runs[(runs["trait"] == trait) & (runs["base"] == runs["student"])]
words = chosen.groupby(["recipe", "measured"])["rate"].mean().unstack("recipe")
axes = words.sort_values(words.columns[0]).plot.barh(figsize=(6, 5))
axes.set(xlabel="probability of the word", ylabel="", title=f"students of teachers that love the {trait}")
plt.tight_layout()
if matches := [word for word in sys.argv[2:] if word.endswith(".svg")]:
    plt.savefig(matches[0])
