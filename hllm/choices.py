"""Names that options and configurations choose from, importable without a model library."""

POOLINGS = ("item_token", "mean")
ADAPTERS = ("none", "linear", "mlp")
GENERATIVE = "generative"
EARLY_FUSION = "early_fusion"
LATE_FUSION = "late_fusion"
OBJECTIVES = (GENERATIVE, EARLY_FUSION, LATE_FUSION)
ID_MODELS = ("sasrec", "esasrec", "hstu", "id-llama")
HISTORY_POOLINGS = ("mean", "last", "decay")  # of the sentence baseline: how a history is read
COUNT_BASELINES = ("popularity", "item-knn", "transition-graph")
TEXT_BASELINES = (*(f"minilm-{pooling}" for pooling in HISTORY_POOLINGS), "transition-graph-minilm")
BASELINES = (*COUNT_BASELINES, *TEXT_BASELINES)
INDEXES = ("auto", "lancedb")  # what finds the nearest items; see hllm.recommend.make_index
CACHE_VARIABLE = "HLLM_CACHE"  # the folder of what runs share; see hllm.state_cache
