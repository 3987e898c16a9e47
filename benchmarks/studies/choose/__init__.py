"""How good does `panda-train choose` choose?"""
