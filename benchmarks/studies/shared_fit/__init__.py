"""What do processes save that share a fit?"""
