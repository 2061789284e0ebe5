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
# # Know your customers
#
# Who are the customers of the newest as-of date, and what is different about each of the twelve classes?
# Run `insight demo` (or `insight run` on your own files) first; this page reads what it built.
#
# No picture is kept here, for pictures show customers. To see them:
# `.venv/bin/jupyter-execute --output=01_know_your_customers_seen notebooks/01_know_your_customers.ipynb`, then open `notebooks/01_know_your_customers_seen.ipynb`.
# 本页不保存图片,因为图中有客户数据;运行上面的命令后即可查看。

# %%
import matplotlib.pyplot as plt
import pandas as pd

from features.kit.home import Home
from features.portraits.reading import Portraits

portraits = Portraits.open(Home.at())
as_of = portraits.as_of_dates()[-1]
customers: pd.DataFrame = portraits.read(as_of).to_pandas()
print(f"{len(customers):,} customers as of {as_of}, {len(portraits.feature_list.names)} features each")

# %% [markdown]
# ## The classes
#
# One class per customer: the first rule that holds, in a fixed order. No rule compares a customer with the others.

# %%
by_class = (
    customers.groupby("primary_class")
    .agg(
        customers=("customer_id", "size"),
        mean_bill=("bill_mean_amount_90d", "mean"),
        calls_90d=("manual_calls_count_90d", "mean"),
        complaints_180d=("complaints_count_180d", "mean"),
    )
    .sort_values("customers", ascending=False)
)
by_class["mean_bill"] /= 1000  # li to yuan
by_class.round(2)

# %%
figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
by_class["customers"].plot.barh(ax=axes[0], title="customers")
by_class["calls_90d"].plot.barh(ax=axes[1], title="calls to an agent in 90 days, mean")
axes[0].set_ylabel("")
axes[0].invert_yaxis()
plt.show()

# %% [markdown]
# ## What is missing
#
# A missing feed leaves its features empty; nothing is guessed.

# %%
empty = customers[list(portraits.feature_list.names)].isna().mean().sort_values(ascending=False)
empty.head(12).round(3)
