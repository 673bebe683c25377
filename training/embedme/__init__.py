"""EmbedMe, the dual encoder of MeKB-Rec: profile text through a language model, items by id.

`bert` loads the language model, `batch` turns profile texts into packed token rows, `encoder` maps those to
user vectors, `examples` draws what is learned from, `model` joins them on the recommenders' contract.
Yuan et al., MeKB-Rec: Personal Knowledge Graph Learning for Cross-Domain Recommendation, KaRS 2023.
"""
