"""Mean AUROC, in percent, that the paper reports, to stand beside ours.

Only figures that its abstract or its listed results state are here; a missing one means that we do not vouch for it,
not that the paper has none. All are with ResNet-152 on full data sets. Its PANDA without further name is PANDA-EWC.
"""

SOURCE = "Reiss et al., PANDA, CVPR 2021 (arXiv 2010.05903), ResNet-152"

MEAN_AUROC = {
    "cifar10": {"dn2": 92.5, "panda-ewc": 96.2, "panda-oe": 98.9},
    "cats-vs-dogs": {"panda-ewc": 97.3},
}
