"""Chinese headlines in ten classes: averaged embeddings, a convolution, an LSTM and a transformer, beside TF-IDF.

    python examples/headlines.py             10,000 headlines to learn from, 10,000 others to tell apart
    python examples/headlines.py --short     headlines of two classes that stand here, and few steps

TF-IDF with logistic regression is of scikit-learn (extra "sklearn"). It is given single characters and pairs of them,
and so are averaged embeddings in the second row; that was found on a fifth of what is learned from.
"""

from __future__ import annotations

import sys
import time

import chainrule as cr
from chainrule.models import text as models

SHORT = {
    "sports": "主场大胜夺得冠军 球队客场再负一场 名将伤愈重返赛场 决赛加时绝杀对手 教练谈首轮比赛 新赛季球队引援",
    "finance": "基金净值小幅上涨 央行下调存款利率 股市收盘再创新高 银行理财收益下降 债券基金规模增加 利率上升基金下跌",
}
ROWS = [(text, name) for name, texts in SHORT.items() for text in texts.split()]
#: A network, what it is given, how many of these a headline has, epochs and learning rate.
WAYS = """averaged_embeddings characters 32 6 0.01, averaged_embeddings character-pairs 64 4 0.01,
text_cnn characters 32 4 0.002, lstm characters 32 4 0.003, transformer characters 32 3 0.001"""
short, accuracies = "--short" in sys.argv, {}


def headlines(tokens, length):
    """What is learned from, and what is to be told."""
    if not short:
        return cr.data.load("thucnews-titles", tokens=tokens, length=length)
    return (cr.data.texts(*zip(*ROWS, strict=True), tokens=tokens, name="short"),) * 2


print("model                tokens           parameters  epochs   seconds   accuracy of others")
for name, tokens, length, epochs, rate in map(str.split, WAYS.split(",")):
    train, test = headlines(tokens, int(length))
    make, form, start = models.CLASSIFYING[name], train.preparation.text, time.perf_counter()
    run = cr.fit(make(form.symbols, form.length, len(train.classes)), train, epochs=12 if short else int(epochs),
                 optimizer=cr.optimizers.Adam(float(rate)), progress=False)  # fmt: skip
    seconds, count = time.perf_counter() - start, sum(array.size for array in run.parameters.values())
    right = accuracies[name, tokens] = run.evaluate(test)["accuracy"]
    print(f"{name:20} {tokens:15} {count:11,} {run.epoch:7} {seconds:9.1f} {right:20.2%}", flush=True)
try:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
except ImportError:
    print("TF-IDF wants scikit-learn: pip install 'chainrule[sklearn]'")
else:
    start, pairs = time.perf_counter(), TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True)
    usual = make_pipeline(pairs, LogisticRegression(C=10))
    texts = [[part.preparation.text.decode(row) for row in part.inputs] for part in headlines("characters", 32)]
    usual.fit(texts[0], train.targets)
    right = usual.score(texts[1], test.targets)
    print(f"{'TF-IDF, logistic':20} {'both':15} {usual[-1].coef_.size:11,} {'–':>7} "
          f"{time.perf_counter() - start:9.1f} {right:20.2%}")  # fmt: skip
