"""Text as data: how it is cut into tokens, the vocabulary that numbers them, and the form that is kept with a run.

What makes data sets of texts is in `chainrule.data`: `language`, `language_stream`, `texts` and `read_texts`.
"""

from __future__ import annotations

from chainrule.data.text.form import TextForm
from chainrule.data.text.reading import TextFile
from chainrule.data.text.tokenizing import BytePairs, CharacterPairs, Characters, ChineseWords, Tokenizer, Words
from chainrule.data.text.vocabulary import Vocabulary

__all__ = [
    "BytePairs", "CharacterPairs", "Characters", "ChineseWords", "TextFile", "TextForm", "Tokenizer", "Vocabulary",
    "Words",
]  # fmt: skip
