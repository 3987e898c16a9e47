"""What is stored of the normal images, and how it is searched.

`embedding` holds the banks of image embeddings (detection, and the choice of similar images);
`gallery` those of pyramid features (segmentation). Each has one function that opens the bank a manifest names:
a new kind of bank is a class there and a row in its table.
"""
