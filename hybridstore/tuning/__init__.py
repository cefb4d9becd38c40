"""Making models: the only rooms that import torch and transformers."""
