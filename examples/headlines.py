"""Chinese headlines in ten classes: averaged embeddings, a convolution, an LSTM and a transformer, beside TF-IDF.

    python examples/headlines.py             10,000 headlines to learn from, 10,000 others to tell apart
    python examples/headlines.py --short     headlines of two classes that stand here, and few steps

TF-IDF with logistic regression is of scikit-learn, by single characters and pairs of them (extra "sklearn").
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
short = "--short" in sys.argv
if short:
    rows = [(text, name) for name, texts in SHORT.items() for text in texts.split()]
    train = test = cr.data.texts([text for text, _ in rows], [name for _, name in rows], name="short")
else:
    train, test = cr.data.load("thucnews-titles", length=32)
symbols, length, classes = train.preparation.symbols, train.preparation.text.length, len(train.classes)
epochs = {"averaged_embeddings": 6, "text_cnn": 4, "lstm": 4, "transformer": 3}
rates = {"averaged_embeddings": 0.01, "text_cnn": 0.002, "lstm": 0.003, "transformer": 0.001}


def as_text(data):
    """Texts as scikit-learn takes them."""
    return [data.preparation.text.decode(row) for row in data.inputs]


accuracies = {}
print("model                parameters  epochs   seconds   accuracy of others")
for name, make in models.CLASSIFYING.items():
    model, start = make(symbols, length, classes), time.perf_counter()
    optimizer, times = cr.optimizers.Adam(rates[name]), 12 if short else epochs[name]
    run = cr.fit(model, train, optimizer=optimizer, epochs=times, progress=False)
    seconds, count = time.perf_counter() - start, sum(array.size for array in run.parameters.values())
    accuracies[name] = run.evaluate(test)["accuracy"]
    print(f"{name:20} {count:10,} {run.epoch:7} {seconds:9.1f} {accuracies[name]:20.2%}", flush=True)

try:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
except ImportError:
    print("TF-IDF wants scikit-learn: pip install 'chainrule[sklearn]'")
else:
    start, pairs = time.perf_counter(), TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True)
    usual = make_pipeline(pairs, LogisticRegression(C=10))
    usual.fit(as_text(train), train.targets)
    accuracies["tf-idf"] = usual.score(as_text(test), test.targets)
    count, seconds = usual[-1].coef_.size, time.perf_counter() - start
    print(f"{'TF-IDF, logistic':20} {count:10,} {'–':>7} {seconds:9.1f} {accuracies['tf-idf']:20.2%}")
