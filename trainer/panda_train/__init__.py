"""The workstation side: adapt features with PANDA, export bundles, evaluate them."""
