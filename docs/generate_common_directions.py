"""Writes the directions that are taken out of multilingual-e5-small's vectors, to hybridstore/embedders/data.

All vectors of this model are close to each other, and what common words span is most of what they share: of two
passages it says little about which one answers. Without the first four of these directions nDCG@10 of its vectors is
.02 higher on eleven English collections, and no lower in German and Hindi (docs/experiments.md, 2026-12-01). After
"Your UnEmbedding Matrix is Secretly a Feature Lens for Text Embeddings".

Needed only when the words or the model change; a test checks that the shipped directions are what this makes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hybridstore.embedders import catalog, recipe
from hybridstore.embedders.locate import locate
from hybridstore.embedders.onnx import OnnxEmbedder

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "multilingual-e5-small"
COUNT = 4
# The commonest words of eleven languages, most of them English.
WORDS = """
    the of and to in a is that for it with as on by this from at be are or an which not have when can will but was
    were has had their its they we you he she his her if there been more than would could should about into out up
    down over under after before between through during each other some any all most such no only own same so then
    also very just because while where who what how why do does did done being may might must here now new one two
    first last many much time year people way day man thing world life hand part place case week company system
    program question work government number night point home water room mother area money story fact month lot right
    study book eye job word business issue side kind head house service friend father power hour game line end
    member law car city community name president team minute idea body information back parent face others level
    office door health person art war history party result change morning reason research girl guy moment air
    teacher force education
    der die und das ist nicht ein eine mit von zu den auf für le la les et des est une dans que pour el los y de en
    por con una para il che di non un per è sono и в не на что с он как это к но по из для что он و في من على أن إلى
    هذا التي ما لا عن مع है के में की को से और का यह पर इस ने भी हो कि नहीं एक लिए
    的 是 在 了 不 和 有 这 我 他 の は に を た が で と し て ที่ และ ใน ของ เป็น ได้ มี ให้ ว่า ไม่
""".split()  # noqa: SIM905 - hundreds of quoted words read worse


def directions() -> NDArray[np.float32]:
    """Return the directions, (COUNT, dim), of unit norm and at right angles."""
    located = locate(NAME)
    plain = OnnxEmbedder(replace(located, recipe=replace(located.recipe, without=None)), threads=1, device="cpu")
    found: NDArray[np.float32] = np.linalg.svd(plain.embed_documents(WORDS), full_matrices=False)[2][:COUNT]
    return found.astype(np.float32)


if __name__ == "__main__":
    np.save(next(recipe.DATA / card.without for card in catalog.MODELS if card.name == NAME), directions())
