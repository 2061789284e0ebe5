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
# # Model review
#
# What does the model that serves churn know, how good is it on rows that it never saw, may its probabilities be
# believed, and why does it score a customer as it does?
#
# **中文摘要:** 本页检查正在服务的流失模型:在未见过的数据上的表现、概率是否可信、各客户类别的差异、分数从何而来,
# 以及模型卡片是否完整。
#
# No picture is kept here, for pictures show customers. To see them:
# `.venv/bin/jupyter-execute --output=03_model_review_seen notebooks/03_model_review.ipynb`, then open `notebooks/03_model_review_seen.ipynb`.
# 本页不保存图片,因为图中有客户数据;运行上面的命令后即可查看。

# %%
import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from features.kit.home import Home
from features.portraits.reading import Portraits
from features.portraits.vector import encode
from training import bundle
from training.card import card
from training.explanation import pictures
from training.explanation.summary import by_dimension, importance
from training.explanation.checks import deletion, stability

home = Home.at()
folder = bundle.champion(home.bundles, "churn")
model = bundle.load(folder, check_in_child=False)
manifest, metrics = model.manifest, model.manifest.metrics
print(f"{manifest.target} {manifest.version}: {len(manifest.features)} features, code {manifest.code_version}")


def show(picture: bytes) -> None:
    """Shows a PNG as it is."""
    pixels = plt.imread(io.BytesIO(picture), format="png")
    figure = plt.figure(figsize=(pixels.shape[1] / 110, pixels.shape[0] / 110))
    figure.add_axes((0, 0, 1, 1)).set_axis_off()
    figure.axes[0].imshow(pixels)
    plt.show()


# %% [markdown]
# ## Figures on rows that the judged model never saw

# %%
figures = pd.DataFrame(
    [
        {"figure": name, "value": value, "low": metrics[f"{name}_ci"][0], "high": metrics[f"{name}_ci"][1]}
        for name, value in metrics.items()
        if isinstance(value, float) and f"{name}_ci" in metrics
    ]
).set_index("figure")
figures

# %% [markdown]
# ## May the probabilities be believed?
#
# The calibration turns the raw score into a probability; the bars below compare what was promised with what happened,
# per customer class (only where there are enough customers to say anything).

# %%
classes = pd.DataFrame(metrics.get("by_class", {})).T
classes = classes[classes["rate"].notna()] if "rate" in classes else classes.iloc[:0]
figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
axes[0].plot(model.calibration.scores, model.calibration.propensities, color="#2471a3")
axes[0].set(xlabel="raw score", ylabel="propensity", title="calibration")
if len(classes):
    classes[["rate", "mean_propensity"]].astype(float).plot.barh(ax=axes[1], color=["#c0392b", "#2471a3"])
axes[1].set(xlabel="share of customers", title="happened (red) and promised (blue)", ylabel="")
plt.show()

# %% [markdown]
# ## What moves the score
#
# Contributions of single features, added up by dimension.

# %%
portraits = Portraits.open(home)
as_of = portraits.as_of_dates()[-1]
table = portraits.read(as_of, ["customer_id", *portraits.feature_list.names])
places = model.positions(portraits.feature_list.features, portraits.feature_list.identity)
everybody = np.ascontiguousarray(encode(table, portraits.feature_list)[:, places])
values = everybody[:600]
parts = model.contributions(values)
dimensions = [portraits.feature_list.features[place].dimension for place in places]
show(pictures.dimensions_picture(by_dimension(parts, dimensions)))

# %%
strongest = importance(parts, manifest.feature_names)
show(pictures.dependence(parts, values, manifest.feature_names, next(iter(strongest))))

# %% [markdown]
# ## One customer
#
# The customer with the highest raw score among those shown: from the average step by step to the own score.

# %%
top = int(model.margins(values).argmax())
shown = ["blank" if np.isnan(value) else f"{value:.5g}" for value in values[top]]
show(pictures.waterfall(parts[top, -1], parts[top, :-1], shown, manifest.feature_names))

# %% [markdown]
# ## Can the explanation be trusted?
#
# A small noise should not change it, and taking the strongest feature away should move the score as it says.

# %%
print(stability(model, values[:200]))
print(deletion(model, values, everybody, rows=60))

# %% [markdown]
# ## The model card

# %%
lacking = card.missing_in(folder)
print("the card is complete" if not lacking else f"the card lacks {', '.join(lacking)}")
print("\n".join((folder / "card.zh.md").read_text(encoding="utf-8").splitlines()[:24]))
