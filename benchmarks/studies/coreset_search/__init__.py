"""How fast is the coreset bank's search?"""
