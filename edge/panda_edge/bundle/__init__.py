"""A bundle's files: the manifest, the folder with its hashes, the model in an onnxruntime session."""
