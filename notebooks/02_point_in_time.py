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
# # Point in time
#
# A portrait of a past day may use only what the operator's systems knew on that day. This page shows how late facts
# arrive, how much a careless count of the past would see too much, and how a model's windows are kept apart.
#
# **中文摘要:** 过去某天的画像只能使用当天已知的数据。本页展示数据到达有多晚、如果不按“当时已知”计数会多看到多少未来信息,
# 以及训练与检验的时间窗口如何隔开。
#
# No picture is kept here, for pictures show customers. To see them:
# `.venv/bin/jupyter-execute --output=02_point_in_time_seen notebooks/02_point_in_time.ipynb`, then open `notebooks/02_point_in_time_seen.ipynb`.
# 本页不保存图片,因为图中有客户数据;运行上面的命令后即可查看。

# %%
from datetime import timedelta

import matplotlib.pyplot as plt
import pandas as pd

from features.feeds.landed.reading import Feeds
from features.kit.home import Home
from features.portraits.reading import Portraits
from training.labels.targets import load_target

home = Home.at()
feeds = Feeds.open(home)
dates = Portraits.open(home).as_of_dates()
connection = feeds.connect()
print(f"{len(feeds.names)} feeds, {len(dates)} as-of dates from {dates[0]} to {dates[-1]}")

# %% [markdown]
# ## How late facts arrive
#
# Every row has two times: when it happened (`event_at`) and when the systems knew it (`known_at`). The bar is the share
# of rows that were known only a day or more after the event.

# %%
wanted = [name for name in ("bills", "hotline_calls", "tickets", "terminations", "usage_daily") if feeds.has(name)]
delays = pd.DataFrame(
    [
        connection.execute(
            f"SELECT '{name}' AS feed, avg(CAST(known_at >= event_at + INTERVAL 1 DAY AS INT)) AS late_share, "
            f"quantile_cont(date_diff('hour', event_at, known_at) / 24.0, 0.5) AS median_days, "
            f"max(date_diff('hour', event_at, known_at) / 24.0) AS most_days FROM {name}"
        ).fetchone()
        for name in wanted
    ],
    columns=["feed", "late_share", "median_days", "most_days"],
).set_index("feed")
delays.round(2)

# %%
axes = delays["late_share"].plot.barh(figsize=(8, 3), color="#2471a3")
axes.set(xlabel="share of rows known a day or more after the event", ylabel="", xlim=(0, 1))
plt.tight_layout()
plt.show()

# %% [markdown]
# ## What a careless count would see
#
# For each past date: rows that happened before it, as known then, and as known today. The difference is the future
# leaking into the past; a model trained on it looks better than it is.

# %%
counts = []
for day in dates[:-1:3]:
    for name in wanted:
        known = connection.execute(
            f"SELECT count(*) FROM ({feeds.as_known_sql(name, day)}) WHERE event_at < DATE '{day}' "
            f"AND event_at >= DATE '{day - timedelta(days=60)}'"
        ).fetchone()[0]
        today = connection.execute(
            f"SELECT count(*) FROM {name} WHERE superseded_at IS NULL AND event_at < DATE '{day}' "
            f"AND event_at >= DATE '{day - timedelta(days=60)}'"
        ).fetchone()[0]
        counts.append({"as_of": day, "feed": name, "known_then": known, "known_today": today})
counts = pd.DataFrame(counts)
counts["too_many_share"] = 1 - counts["known_then"] / counts["known_today"].clip(lower=1)
leak = counts.groupby("feed")["too_many_share"].mean().sort_values()
axes = leak.plot.barh(figsize=(8, 3), color="#c0392b")
axes.set(xlabel="share of the last 60 days' rows that nobody knew yet", ylabel="")
plt.tight_layout()
plt.show()
leak.round(3)

# %% [markdown]
# ## The windows of a target
#
# Features look back, the label looks forward, and between the newest training date and the first test date lies an
# embargo, so that no test label was known while learning.

# %%
target = load_target("churn")
test_day = dates[-1]
train_day = test_day - timedelta(days=target.embargo_days)
figure, axes = plt.subplots(figsize=(10, 2.6), layout="constrained")
for row, (day, name) in enumerate(((test_day, "test date"), (train_day, "last training date"))):
    axes.barh(row, 180, left=-180 + (day - test_day).days, color="#aab7b8", height=0.5)
    axes.barh(row, target.horizon_days, left=(day - test_day).days + target.lead_days, color="#c0392b", height=0.5)
    axes.barh(
        row, target.label_delay_days, left=(day - test_day).days + target.lead_days + target.horizon_days,
        color="#f5b7b1", height=0.5,
    )
    axes.text(-178 + (day - test_day).days, row, name, va="center")
axes.axvline(0, color="black", linewidth=0.8)
axes.set_yticks([])
axes.set_xlabel(f"days from the test date {test_day} (grey: features look back, red: label, pale: label delay)")
plt.show()
print(f"embargo {target.embargo_days} days: the last training label is surely known on {test_day}, not later")
