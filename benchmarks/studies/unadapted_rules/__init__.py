"""Which rule over pretrained features is best?"""
