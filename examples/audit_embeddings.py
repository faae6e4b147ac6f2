"""Finds wrong labels by the embeddings of any model; here by a PCA of the digits' pixels.

Nothing of pyg_agfn is trained. Put the features of CLIP, DINO or your own model in the place of
``embeddings``.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from pyg_agfn.audit import audit_labels

pixels, true = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
labels = true.copy()
wrong = rng.random(len(labels)) < 0.1
labels[wrong] = (labels[wrong] + rng.integers(1, 10, wrong.sum())) % 10

embeddings = PCA(30, random_state=0).fit_transform(pixels)
audit = audit_labels(features=embeddings, labels=labels)

print(audit.summary())
for row in audit.issues[:5]:
    print(f"image {row.file}: {row.given_label} should be {row.suggested_label} ({row.score:.0%})")
found = wrong[[audit.index[row.rank - 1] for row in audit.issues]]
print(f"{found.mean():.0%} of the issues are wrong labels, {found.sum() / wrong.sum():.0%} of all")
audit.to_csv("label_issues.csv")
