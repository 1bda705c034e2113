"""File names of a model folder in Hugging Face layout, of an adapter in peft's, and of what takes their place.

Every other list of such names is made from these.
"""

WEIGHTS = "model.safetensors"
CONFIGS = ("config.json", "generation_config.json")
CHAT = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
SUPPORT = (*CONFIGS, *CHAT)  # nothing learned is in them
OTHERS = ("special_tokens_map.json", "added_tokens.json", "vocab.json", "preprocessor_config.json")  # not saved here
ADAPTER = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
CONTEXT = "context.jsonl"  # of a student that is not trained: what it reads before every question
RECORD = "base.json"  # of open weights, which stay where they are

MODEL_FILES = (*CONFIGS, WEIGHTS, *CHAT)
ADAPTER_FILES = (ADAPTER_CONFIG, ADAPTER)
