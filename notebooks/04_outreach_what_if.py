# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Outreach: what if?
#
# How many contacts a day are worth their cost, which actions get the places, who is held back by the contact policy,
# and how much of it hangs on assumed effects? Nothing is claimed and nobody is contacted here.
#
# **中文摘要:** 每天联系多少客户才划算?哪些动作占用名额?联系规则挡住了哪些人?结果在多大程度上依赖假设的效果?
# 本页只做测算,不占用客户、不产生任何联系。
#
# No picture is kept here, for pictures show customers. To see them:
# `.venv/bin/jupyter-execute --output=04_outreach_what_if_seen notebooks/04_outreach_what_if.ipynb`, then open `notebooks/04_outreach_what_if_seen.ipynb`.
# 本页不保存图片,因为图中有客户数据;运行上面的命令后即可查看。

# %%
import matplotlib.pyplot as plt
import pandas as pd

from features.feeds.landed.steady import on_current_feeds
from features.kit.home import Home
from serving.outreach.decision.actions import decide
from serving.outreach.decision.allocate import allocate, shared_capacity
from serving.outreach.decision.candidates import read_candidates
from serving.outreach.policy.ledger_facts import LedgerFacts
from serving.outreach.policy.policy import PolicyBook
from serving.outreach.policy.states import read_states
from serving.outreach.settings import OutreachSettings, load_settings
from serving.scoring.batch.stored import Scores
from serving.scoring.reasons.book import load_book

home = Home.at()
as_of = max(Scores.current(home, path.name).as_of for path in home.scores.iterdir() if (path / "current.json").exists())
settings, book = load_settings(), load_book()
states = on_current_feeds(home, lambda feeds: read_states(feeds, as_of, settings))
operator = states.operator
candidates = read_candidates(home, as_of, settings)
minor = 10**operator.money_scale
models = ", ".join(sorted(candidates.sources.models)) or "none"
print(f"{len(candidates.rows):,} candidates as of {as_of}, models: {models}")


# %%
def offered(chosen: OutreachSettings):
    """Returns every allowed option under some settings."""
    return decide(candidates, PolicyBook(chosen, states, LedgerFacts(), as_of), book)


def drawn(options, capacity: int) -> pd.DataFrame:
    """Returns the lines of a list with so many attempts, claiming nobody."""
    chosen, *_ = allocate(options, shared_capacity(settings.capacity, capacity), lambda option: True)
    return pd.DataFrame(
        [{"action": one.action, "team": one.team, "value": one.value / minor, "duty": one.tier == 0} for one in chosen],
        columns=["action", "team", "value", "duty"],
    )


today = offered(settings)
print(f"{len(today.options):,} allowed options; {today.without_value:,} customers are best left alone")

# %% [markdown]
# ## Who is held back, and why
#
# Each code of the contact policy with the customers for whom it stopped something that was due.

# %%
held = pd.Series(today.suppressed, dtype=float).sort_values()
if len(held):
    axes = held.plot.barh(figsize=(8, 0.35 * len(held) + 1), color="#7f8c8d")
    axes.set(xlabel="customers", ylabel="")
    plt.tight_layout()
    plt.show()

# %% [markdown]
# ## How many contacts a day?
#
# Expected value of the list by capacity. Duties (an answer that is owed) come first whatever they are worth.

# %%
sizes = [10, 20, 40, 80, 160, 300]
curve = pd.DataFrame(
    [{"capacity": size, "lines": len(lines), "value": lines["value"].sum()} for size in sizes for lines in [drawn(today.options, size)]]
).set_index("capacity")
axes = curve["value"].plot(marker="o", figsize=(8, 3.5), color="#2471a3")
axes.set(xlabel="attempts a day", ylabel=f"expected value, {operator.currency}")
axes.grid(alpha=0.3)
plt.tight_layout()
plt.show()
curve.round(1)

# %% [markdown]
# ## Which actions get the places

# %%
lines = drawn(today.options, 160)
by_action = lines.groupby("action").agg(lines=("value", "size"), value=("value", "sum")).sort_values("lines")
if len(by_action):
    axes = by_action["lines"].plot.barh(figsize=(8, 0.4 * len(by_action) + 1), color="#2471a3")
    axes.set(xlabel="lines", ylabel="")
    plt.tight_layout()
    plt.show()
by_action.round(1)


# %% [markdown]
# ## What hangs on the assumed effects
#
# Until effects are measured they are assumed, each with an interval. The same list under the weak and the strong end of
# every interval: if a decision turns around between them, measure before deciding.

# %%
def under(end) -> OutreachSettings:
    """Returns the settings with every effect at one end of its interval (by size)."""
    actions = {
        name: action.model_copy(
            update={
                "effects": {
                    target: effect.model_copy(update={"relative": end(effect.low, effect.high, key=abs)})
                    for target, effect in action.effects.items()
                }
            }
        )
        for name, action in settings.actions.items()
    }
    return settings.model_copy(update={"actions": actions})


ends = {"weak": offered(under(min)), "assumed": today, "strong": offered(under(max))}
what_if = pd.DataFrame(
    {name: [drawn(one.options, size)["value"].sum() for size in sizes] for name, one in ends.items()}, index=sizes
)
axes = what_if.plot(marker="o", figsize=(8, 3.5), color=["#7f8c8d", "#2471a3", "#c0392b"])
axes.set(xlabel="attempts a day", ylabel=f"expected value, {operator.currency}")
axes.grid(alpha=0.3)
plt.tight_layout()
plt.show()
what_if.round(1)
