"""Options of the engine that name files, and where a cluster's pods find them."""

FILES = "/etc/stoker-files"  # in a pod
# Each names one text; a value with a brace is the text itself.
TEXTS = ("chat-template", "tool-parser-plugin", "reasoning-parser-plugin", "log-config-file")
# Each names a folder, a repository of the hub, or one of these words.
FOLDERS = {
    "tokenizer": frozenset[str](),
    "hf-config-path": frozenset[str](),
    "generation-config": frozenset({"auto", "vllm"}),
}
DRAFT = "speculative-config"  # its `model` is a folder or a repository with weights
